"""How good what a network draws is: distances between sets of images, likeness of pairs, the bound of a VAE.

numpy alone; all arithmetic in float64. Images are (N, height, width, channels).
"""

import numpy as np

from toolchain.errors import BadSamples

COLOURS = (1, 3)
"""Channels of images, grey ones or not."""
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
"""Of SSIM: Wang et al. 2004, section III B and C."""
LEAST_PROBABILITY = 1 / 512
"""Half a step of an INT8 probability: what a network of 8 bits can mean by 0."""


# Sets of features (N, d) ------------------------------------------------------------------------------------

def frechet_distance(features: np.ndarray, real: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two sets' means and covariances, >= 0.

    Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule ...", equation 6. The trace of the root
    is the sum of the singular values of S1^(1/2) S2^(1/2), which no rounding makes complex or negative, also
    where covariances are singular. Too large for few samples, by some d^2 / N of a unit variance: compare
    sets of the same size.
    Raises BadSamples where a set has fewer than 2 samples or is of another width.
    """
    first, second = _pair_of_sets(features, real)
    roots = [_root(np.atleast_2d(np.cov(x, rowvar=False))) for x in (first, second)]
    traces = sum(float(np.square(root).sum()) for root in roots)
    joint = float(np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum())
    apart = float(np.square(first.mean(0) - second.mean(0)).sum())
    return max(0.0, apart + traces - 2 * joint)


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root; eigenvalues that rounding made negative are 0."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def kernel_distance(features: np.ndarray, real: np.ndarray) -> float:
    """Unbiased estimate of MMD^2 with k(x, y) = (x.y / d + 1)^3; below 0 where sets are alike by chance.

    Binkowski et al. 2018, "Demystifying MMD GANs", section 3; Gretton et al. 2012, equation 3.
    Raises BadSamples as frechet_distance.
    """
    first, second = _pair_of_sets(features, real)
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
              for k in (_cubic(first, first), _cubic(second, second))]
    return float(sum(within) - 2 * _cubic(first, second).mean())


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _pair_of_sets(features: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sets = [np.asarray(x, np.float64).reshape(len(x), -1) for x in (features, real)]
    if min(map(len, sets)) < 2 or sets[0].shape[1] != sets[1].shape[1]:
        raise BadSamples(f"sets of features of shape {features.shape} and {real.shape} have no distance; "
                         f"give 2 samples or more of the same width")
    return sets[0], sets[1]


# Pairs of images --------------------------------------------------------------------------------------------

def psnr(images: np.ndarray, references: np.ndarray, peak: float) -> np.ndarray:
    """10 log10(peak^2 / MSE) of each pair (N, ...), (N,) dB; infinite for equal ones.

    peak: the span of values that images may have: 1 for 0..1, 2 for -1..1, 255 for pixels
    Raises BadSamples where shapes differ.
    """
    if images.shape != references.shape:
        raise BadSamples(f"images of shape {images.shape} are compared with {references.shape}; give as many "
                         f"of the same shape")
    images, references = np.asarray(images, np.float64), np.asarray(references, np.float64)
    errors = np.square(images - references).reshape(len(images), -1).mean(1)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(peak**2 / errors)


def ssim(images: np.ndarray, references: np.ndarray, peak: float) -> np.ndarray:
    """Structural similarity of each pair, (N,) in [-1, 1]: mean over channels and places.

    Wang et al. 2004, equation 13, with their Gaussian window of 11 x 11, sigma 1.5, at all places where it
    lies inside the image. For images of less than 11 pixels, along that axis the largest odd window that
    fits, of the same sigma: figures of small images compare with their like only.
    peak: as in psnr
    Raises BadSamples where shapes differ or are no images'.
    """
    if images.shape != references.shape or images.ndim != 4:
        raise BadSamples(f"images of shape {images.shape} are compared with {references.shape}; give both as "
                         f"(N, height, width, channels)")
    x, y = np.asarray(images, np.float64), np.asarray(references, np.float64)
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x = _blurred(x * x) - mean_x**2
    variance_y = _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    alike = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    found = alike / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    return found.reshape(len(found), -1).mean(1)


def channels_last(images: np.ndarray) -> np.ndarray:
    """(N, height, width, 1 or 3) of images in that layout or channels first; all else as it is."""
    first = images.ndim == 4 and images.shape[3] not in COLOURS and images.shape[1] in COLOURS
    return images.transpose(0, 2, 3, 1) if first else images


def _blurred(images: np.ndarray) -> np.ndarray:
    """Weighted means under the window, along height and width."""
    for axis in (1, 2):
        size = min(WINDOW, images.shape[axis] - 1 + images.shape[axis] % 2)
        weights = np.exp(-np.square(np.arange(size) - size // 2) / (2 * SIGMA**2))
        windows = np.lib.stride_tricks.sliding_window_view(images, size, axis)
        images = windows @ (weights / weights.sum())
    return images


# Variational autoencoders -----------------------------------------------------------------------------------

def elbo(images: np.ndarray, reconstructions: np.ndarray, mean: np.ndarray, log_variance: np.ndarray,
         sigma: float | None = None) -> np.ndarray:
    """log p(x | z) - KL(q(z | x) || N(0, I)) of each sample, (N,) nats: a bound of log p(x) from below.

    Kingma & Welling 2014, equations 7 and 10, one draw of z.
    images, reconstructions: (N, ...); of Bernoulli pixels in 0..1 and their probabilities, which count as no
        nearer to 0 and 1 than LEAST_PROBABILITY; with `sigma`, of normal ones and their means
    mean, log_variance: (N, latent) of q
    Raises BadSamples where shapes do not fit.
    """
    if images.shape != reconstructions.shape or mean.shape != log_variance.shape or len(mean) != len(images):
        raise BadSamples(f"images {images.shape}, reconstructions {reconstructions.shape}, means "
                         f"{mean.shape} and variances {log_variance.shape} are not of the same samples")
    x, made = (np.asarray(a, np.float64).reshape(len(images), -1) for a in (images, reconstructions))
    if sigma is None:
        made = np.clip(made, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        likelihood = x * np.log(made) + (1 - x) * np.log1p(-made)
    else:
        likelihood = -np.square((x - made) / sigma) / 2 - np.log(sigma * np.sqrt(2 * np.pi))
    return likelihood.sum(1) - divergence(mean, log_variance)


def divergence(mean: np.ndarray, log_variance: np.ndarray) -> np.ndarray:
    """KL(N(mean, exp(log_variance)) || N(0, I)) of each row, (N,) nats (Kingma & Welling 2014, app. B)."""
    mean, log_variance = np.asarray(mean, np.float64), np.asarray(log_variance, np.float64)
    return (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1) / 2
