"""What the runner does with a model. Only an inference itself is timed: invoke(), or run(), which makes the
outputs too; its sample is read and handed over before.
"""

from array import array
import resource

from edge_runner.clock import cpu_ns, raw_ns
from edge_runner.counters import Counters, peak_kb, record_counts
from edge_runner.fail import INPUT, MODEL, fail
from edge_runner.record import encoded
from edge_runner.runtimes import MOST_BYTES, load
from edge_runner.samples import Results, Samples
from edge_runner.watch import Watch

TIMINGS = 10_000_000


def opened(word, model, options, source, profile=False):
    if not source:
        fail(INPUT, "no input=FILE")
    runtime = load(word, model, options, profile)
    size = sum(port.bytes for port in runtime.inputs)
    if not size or size > MOST_BYTES or not runtime.outputs:
        fail(MODEL, "the model has no inputs or no outputs, or a sample is of more than 1 GiB")
    return runtime, Samples(source, size)


def infer(runtime, samples, index):
    """Start, wall and CPU time in ns. Raises what the runtime raises."""
    runtime.set_inputs(samples.read(index))
    cpu, start = cpu_ns(), raw_ns()
    runtime.invoke()
    wall = raw_ns() - start
    return start, wall, cpu_ns() - cpu


def record_model(record, runtime):
    record.line("runtime", runtime.runtime)
    for key, ports in (("input", runtime.inputs), ("output", runtime.outputs)):
        for port in ports:
            record.line(key, *port.words())
    record.line("load_ns", runtime.load_ns)


def mode_run(record, word, model, options):
    runtime, samples = opened(word, model, options, options["input"])
    results = Results(options["output"])
    record_model(record, runtime)
    for i in range(samples.count):
        wall = infer(runtime, samples, i)[1]
        if i == 0:
            record.line("first_ns", wall)
        results.write(runtime.output_bytes())
    results.close()
    record.line("inferences", samples.count)
    record.line("vm_hwm_kb", peak_kb())


def over(options, count, elapsed_ns):
    return count >= options["most"] or elapsed_ns >= options["seconds"] * 1e9


def timed(runtime, samples, results, watch, options):
    """Start, wall and CPU time of one of every= inferences in a row, in one array; how many inferences there
    were, beginning and end; peak kB after the first."""
    times, peak, count, every = array("Q"), 0, 0, options["every"]
    watch.read(always=True)
    began = ended = raw_ns()
    while count < options["least"] or not over(options, count, ended - began):
        taken = infer(runtime, samples, count)
        ended = taken[0] + taken[1]
        if count % every == 0:
            times.extend(taken)
        if count < samples.count:
            results.write(runtime.output_bytes())
        peak = peak or peak_kb()
        count += 1
        watch.read()
    ended = raw_ns()
    watch.read(always=True)
    return times, count, began, ended, peak


def record_usage(record, before, after):
    record.line("faults", after.ru_minflt - before.ru_minflt, after.ru_majflt - before.ru_majflt)
    record.line("switches", after.ru_nvcsw - before.ru_nvcsw, after.ru_nivcsw - before.ru_nivcsw)


def mode_time(record, word, model, options):
    if options["most"] // options["every"] > TIMINGS:
        fail(INPUT, f"most= and every= make more than {TIMINGS} inferences to be told")
    counters = Counters()
    runtime, samples = opened(word, model, options, options["input"])
    results, watch = Results(options["output"]), Watch(options["watch"], options["watch_ms"] * 1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF)
    times, count, began, ended, peak = timed(runtime, samples, results, watch, options)
    after = resource.getrusage(resource.RUSAGE_SELF)
    peak = max(peak, peak_kb() - times.buffer_info()[1] * 8 // 1024)  # without the times themselves
    results.close()
    record_model(record, runtime)
    record.line("first_ns", times[1])
    record.line("began_ns", began)
    record.line("ended_ns", ended)
    record.line("inferences", count)
    record.line("every", options["every"])
    for i in range(0, len(times), 3):
        record.line("sample", times[i] - began, times[i + 1], times[i + 2])
    watch.record(record)
    record.line("vm_hwm_kb", peak)
    record_usage(record, before, after)
    if options["counted"]:
        record_counts(record, counters, runtime, samples, min(options["counted"], count))


def mode_profile(record, word, model, options):
    runtime, samples = opened(word, model, options, options["input"], profile=True)
    record_model(record, runtime)
    began, count = raw_ns(), 0
    while count < options["least"] or not over(options, count, raw_ns() - began):
        wall = infer(runtime, samples, count)[1]
        if count == 0:
            record.line("first_ns", wall)
        count += 1
    record.line("inferences", count)
    for index, kind, name, ns, executions in runtime.ops():
        record.line("op", index, encoded(kind), encoded(name), ns, executions)


def block(record, pair, which, block_ns):
    """Times are of the inferences alone, without what feeds them."""
    began, count, wall, cpu = raw_ns(), 0, 0, 0
    while not count or raw_ns() - began < block_ns:
        _, wall_ns, taken_ns = infer(*pair[which], count)
        count, wall, cpu = count + 1, wall + wall_ns, cpu + taken_ns
    record.line("block", which, count, wall, cpu)


def mode_compare(record, word, model, options):
    if not options["other"]:
        fail(INPUT, "compare needs other=MODEL and other_input=FILE")
    pair = [opened(word, model, options, options["input"]),
            opened(word, options["other"], options, options["other_input"])]
    record_model(record, pair[0][0])
    before = resource.getrusage(resource.RUSAGE_SELF)
    for i in range(options["pairs"]):
        first = (options["first"] + i) % 2
        block(record, pair, first, options["block_us"] * 1000)
        block(record, pair, 1 - first, options["block_us"] * 1000)
    after = resource.getrusage(resource.RUSAGE_SELF)
    record.line("vm_hwm_kb", peak_kb())
    record_usage(record, before, after)


MODES = {"run": mode_run, "time": mode_time, "profile": mode_profile, "compare": mode_compare}
