#!/system/bin/sh
# Prints what TensorFlow Lite's benchmark_model prints, with numbers that it makes up: for tests of the way there.
for word in "$@"; do
    case $word in
    --graph=*) graph=${word#--graph=} ;;
    --enable_op_profiling=true) profile=1 ;;
    --num_runs=*) runs=${word#--num_runs=} ;;
    esac
done
if ! [ -r "$graph" ]; then
    echo "ERROR: Failed to mmap model $graph" >&2
    exit 1
fi
cat <<END
INFO: STARTING!
INFO: Graph: [$graph]
INFO: Loaded model $graph
INFO: The input model file size (MB): 0.04
INFO: Initialized session in 2.5ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=4 first=2000 curr=1000 min=1000 max=2000 avg=1250 std=433 p5=1000 median=1000 p95=2000

INFO: Running benchmark for at least $runs iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=$runs first=1010 curr=1000 min=990 max=1010 avg=1000 std=5 p5=991 median=1000 p95=1009

INFO: Inference timings in us: Init: 2500, First inference: 2000, Warmup (avg): 1250, Inference (avg): 1000
INFO: Memory footprint delta from the start of the tool (MB): init=1.25 overall=2.5
END
if [ -n "$profile" ]; then
    tab=$(printf '\t')
    sed "s/ *| */$tab/g" <<END
INFO: Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
|[node type]|[first]|[avg ms]|[%]|[cdf%]|[mem KB]|[times called]|[Name]
|CONV_2D|0.800|0.750|75.000%|75.000%|0.000|1|[conv]:0
|SOFTMAX|0.200|0.250|25.000%|100.000%|0.000|1|[softmax]:1

Timings (microseconds): count=$runs first=1010 curr=1000 min=990 max=1010 avg=1000 std=5
END
fi
