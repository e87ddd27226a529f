/* golden: 3,900 MACs in 6 ops
 *
 * Made by edge-toolchain 0.1.0; do not edit.
 */
#include "model.h"

#include "tk_add_s8.h"
#include "tk_conv2d_s8.h"
#include "tk_depthwise_conv2d_s8.h"
#include "tk_fully_connected_s8.h"
#include "tk_mean_s8.h"
#include "tk_softmax_s8.h"

/* act: conv2d [1, 6, 6, 2] -> [1, 6, 6, 4], 2,592 MACs */
static const int8_t act_weight[72] = {
    -127, -33, 61, -102, -8, 86, -76, 18, 112, -51, 43, -119, -25, 69, -94, 0, 94, -69, 25, 119,
    -43, 51, -112, -18, 76, -86, 8, 102, -61, 33, 127, -36, 58, -104, -10, 84, -82, 16, 114, -56,
    42, -127, -29, 69, -101, -3, 95, -74, 24, 122, -48, 50, -119, -21, 75, -91, 5, 101, -65, 31,
    127, -39, 57, -109, -13, 83, -83, 13, 109, -57, 39, -127};
static const int32_t act_bias[4] = {
    -5834, 2588, 10667, -3469};
static const int32_t act_multiplier[4] = {
    1341912444, 1341912444, 1288235970, 1315074207};
static const int8_t act_shift[4] = {
    -7, -7, -7, -7};
static const tk_conv2d_s8_params act_params =
    {.window = {.input_height = 6, .input_width = 6, .channels = 2, .output_height = 6, .output_width = 6,
     .kernel_height = 3, .kernel_width = 3, .stride_height = 1, .stride_width = 1, .pad_top = 1, .pad_left
     = 1, .dilation_height = 1, .dilation_width = 1, .zero_point = -1}, .matrix = {.channels = 4, .depth =
     18, .weight = act_weight, .output = {.bias = act_bias, .multiplier = act_multiplier, .shift =
     act_shift, .zero_point = -128, .low = 0, .high = 255}}};

/* dw: depthwise_conv2d [1, 6, 6, 4] -> [1, 6, 6, 4], 1,296 MACs */
static const int8_t dw_weight[36] = {
    -127, -40, 61, -108, -8, 105, -76, 19, 112, -62, 43, -127, -25, 84, -94, 0, 94, -84, 25, 127,
    -43, 62, -112, -19, 76, -105, 8, 108, -61, 40, 127, -38, 58, -127, -10, 89};
static const int32_t dw_bias[4] = {
    -7406, -21689, 4640, -8054};
static const int32_t dw_multiplier[4] = {
    1747462300, 1432919097, 1747462300, 1642614610};
static const int8_t dw_shift[4] = {
    -8, -8, -8, -8};
static const tk_depthwise_conv2d_s8_params dw_params =
    {.window = {.input_height = 6, .input_width = 6, .channels = 4, .output_height = 6, .output_width = 6,
     .kernel_height = 3, .kernel_width = 3, .stride_height = 1, .stride_width = 1, .pad_top = 1, .pad_left
     = 1, .dilation_height = 1, .dilation_width = 1, .zero_point = -128}, .weight = dw_weight, .output =
     {.bias = dw_bias, .multiplier = dw_multiplier, .shift = dw_shift, .zero_point = 35, .low = -163,
     .high = 92}};

/* sum: add [1, 6, 6, 4] -> [1, 6, 6, 4], 0 MACs */
static const tk_binary_s8_params sum_params =
    {.shape = {1, 1, 1, 144}, .a_stride = {0, 0, 0, 1}, .b_stride = {0, 0, 0, 1}, .a_zero_point = -128,
     .a_multiplier = 1109638586, .a_shift = -1, .b_zero_point = 35, .b_multiplier = 1073741824, .b_shift =
     0, .multiplier = 1354832057, .shift = -18, .zero_point = -128, .low = 0, .high = 255};

/* pool: mean [1, 6, 6, 4] -> [1, 4], 0 MACs */
static const tk_mean_s8_params pool_params =
    {.kept = {1, 1, 4}, .kept_stride = {0, 0, 1}, .reduced = {1, 1, 36}, .reduced_stride = {0, 0, 4}, .bias =
     4608, .multiplier = 1561121091, .shift = -3, .zero_point = -128, .low = 0, .high = 255};

/* fc: fully_connected [1, 4] -> [1, 3], 12 MACs */
static const int8_t fc_weight[12] = {
    -127, -33, 61, -102, -11, 127, -112, 26, 119, -54, 46, -127};
static const int32_t fc_bias[3] = {
    -62271, -10132, 16612};
static const int32_t fc_multiplier[3] = {
    1899772266, 1291845129, 1785785982};
static const int8_t fc_shift[3] = {
    -8, -8, -8};
static const tk_fully_connected_s8_params fc_params =
    {.rows = 1, .matrix = {.channels = 3, .depth = 4, .weight = fc_weight, .output = {.bias = fc_bias,
     .multiplier = fc_multiplier, .shift = fc_shift, .zero_point = 16, .low = -144, .high = 111}}};

/* probabilities: softmax [1, 3] -> [1, 3], 0 MACs */
static const int32_t probabilities_exp[256] = {
    2147483647, 2134238679, 2121075866, 2107994249, 2094993267, 2082072457, 2069231324, 2056469381,
    2043786172, 2031181151, 2018653867, 2006203841, 1993830599, 1981533667, 1969312604, 1957166886,
    1945096075, 1933099710, 1921177333, 1909328516, 1897552747, 1885849606, 1874218643, 1862659415,
    1851171505, 1839754420, 1828407750, 1817131061, 1805923922, 1794785904, 1783716607, 1772715557,
    1761782360, 1750916598, 1740117857, 1729385749, 1718719815, 1708119674, 1697584924, 1687115162,
    1676710017, 1666368168, 1656090930, 1645877062, 1635726176, 1625637885, 1615611830, 1605647579,
    1595744776, 1585903045, 1576122009, 1566401318, 1556740555, 1547139372, 1537597404, 1528114285,
    1518689675, 1509323169, 1500014430, 1490763103, 1481568833, 1472431269, 1463350083, 1454324883,
    1445355345, 1436441128, 1427581889, 1418777311, 1410027015, 1401330686, 1392687994, 1384098608,
    1375562219, 1367078461, 1358647030, 1350267607, 1341939869, 1333663501, 1325438207, 1317263635,
    1309139492, 1301064802, 1293040558, 1285065811, 1277140218, 1269263499, 1261435351, 1253655478,
    1245923601, 1238239388, 1230602564, 1223012837, 1215469919, 1207973520, 1200523373, 1193119155,
    1185760603, 1178447434, 1171179368, 1163956147, 1156777456, 1149643040, 1142552626, 1135505942,
    1128502735, 1121542704, 1114625597, 1107751153, 1100919108, 1094129200, 1087381185, 1080674773,
    1074009725, 1067385787, 1060802704, 1054260242, 1047758119, 1041296104, 1034873951, 1028491414,
    1022148267, 1015844238, 1009578567, 1003352042, 997163912, 991013939, 984901905, 978827547,
    972790649, 966790980, 960828311, 954902429, 949013079, 943160051, 937343120, 931562064,
    925816676, 920106710, 914431959, 908792208, 903187238, 897616838, 892080807, 886578905,
    881110938, 875676693, 870275964, 864908556, 859574241, 854272824, 849004105, 843767881,
    838563965, 833392134, 828252202, 823143972, 818067252, 813021846, 808007575, 803024223,
    798071614, 793149557, 788257459, 783395936, 778564377, 773762612, 768990456, 764247728,
    759534259, 754849845, 750194321, 745567508, 740969229, 736399309, 731857585, 727343860,
    722857972, 718399752, 713969027, 709565640, 705189399, 700840149, 696517723, 692221956,
    687952692, 683709750, 679492975, 675302208, 671137287, 666998054, 662884359, 658796027,
    654732910, 650694853, 646681703, 642693315, 638729518, 634790171, 630875124, 626984226,
    623117341, 619274301, 615454971, 611658877, 607886501, 604137386, 600411398, 596708379,
    593028194, 589370705, 585735771, 582123263, 578533025, 574964929, 571418839, 567894618,
    564392141, 560911257, 557451842, 554013762, 550596887, 547201085, 543826235, 540472191,
    537138833, 533826033, 530533666, 527261611, 524009730, 520777904, 517566011, 514373928,
    511201540, 508048711, 504915327, 501801271, 498706422, 495630662, 492573883, 489535952,
    486516761, 483516195, 480534141, 477570242, 474624852, 471697625, 468788447, 465897209,
    463023807, 460168118, 457330039, 454509463, 451706282, 448920389, 446151684, 443400048};
static const tk_softmax_s8_params probabilities_params =
    {.rows = 1, .depth = 3, .exp = probabilities_exp};

void golden_invoke(const int8_t *input, int8_t *output, void *arena) {
    int8_t *const memory = arena;
    TK_LAYER(0);
    tk_conv2d_s8(&act_params, input, memory + 160, memory + 0);
    TK_LAYER(1);
    tk_depthwise_conv2d_s8(&dw_params, memory + 0, memory + 288, memory + 144);
    TK_LAYER(2);
    tk_add_s8(&sum_params, memory + 0, memory + 144, memory + 0);
    TK_LAYER(3);
    tk_mean_s8(&pool_params, memory + 0, memory + 0);
    TK_LAYER(4);
    tk_fully_connected_s8(&fc_params, memory + 0, memory + 8);
    TK_LAYER(5);
    tk_softmax_s8(&probabilities_params, memory + 8, output);
    TK_LAYER(6);
}

static void invoke(const void *const inputs[], void *const outputs[], void *arena) {
    golden_invoke(inputs[0], outputs[0], arena);
}

static const uint32_t input_bytes[] = {72};
static const uint32_t input_offset[] = {88};
static const uint32_t output_bytes[] = {3};
static const uint32_t output_offset[] = {0};

#ifdef TK_LAYERS
const uint32_t golden_layer_count = GOLDEN_LAYER_COUNT;
const char *const golden_layers[GOLDEN_LAYER_COUNT] = {
    "act: conv2d [1, 6, 6, 2] -> [1, 6, 6, 4], 2,592 MACs",
    "dw: depthwise_conv2d [1, 6, 6, 4] -> [1, 6, 6, 4], 1,296 MACs",
    "sum: add [1, 6, 6, 4] -> [1, 6, 6, 4], 0 MACs",
    "pool: mean [1, 6, 6, 4] -> [1, 4], 0 MACs",
    "fc: fully_connected [1, 4] -> [1, 3], 12 MACs",
    "probabilities: softmax [1, 3] -> [1, 3], 0 MACs",
};
#endif

const tk_model golden_model = {
    .name = "golden",
    .digest = GOLDEN_DIGEST,
    .arena_bytes = GOLDEN_ARENA_BYTES,
    .input_count = GOLDEN_INPUT_COUNT,
    .output_count = GOLDEN_OUTPUT_COUNT,
    .input_bytes = input_bytes,
    .input_offset = input_offset,
    .output_bytes = output_bytes,
    .output_offset = output_offset,
    .invoke = invoke,
};
