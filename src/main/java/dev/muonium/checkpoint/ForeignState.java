package dev.muonium.checkpoint;

import dev.muonium.device.Device;
import dev.muonium.optim.Optimizer;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;

/**
 * The state of an optimizer under the names of other frameworks, so that a run can move over: what {@code torch.optim.Muon}, {@code torch.optim.AdamW} and
 * bitsandbytes' 8-bit AdamW keep, in safetensors files under {@code <parameter>.<state key>}. In Python, for any of the three:
 *
 * <pre>{@code
 * names = {p: n for n, p in model.named_parameters()}
 * tensors = {f"{names[p]}.{key}": torch.as_tensor(value).detach().clone().contiguous()
 *            for p, state in optimizer.state.items() for key, value in state.items()}
 * safetensors.torch.save_file(tensors, "optimizer.safetensors")
 * }</pre>
 *
 * <table border="1">
 * <caption>What is read and written for a parameter</caption>
 * <tr><th>key</th><th>type and shape</th><th>of</th><th>here</th></tr>
 * <tr><td>{@code momentum_buffer}</td><td>FP32 or BF16, the parameter's</td><td>torch.optim.Muon</td><td>m of {@link dev.muonium.optim.Muon}</td></tr>
 * <tr><td>{@code exp_avg}, {@code exp_avg_sq}</td><td>FP32 or BF16, the parameter's</td><td>torch.optim.AdamW</td><td>m, v of {@link
 * dev.muonium.optim.AdamW}</td></tr>
 * <tr><td>{@code step}</td><td>a number</td><td>both AdamWs</td><td>t: the steps of this parameter</td></tr>
 * <tr><td>{@code state1}, {@code state2}</td><td>U8, the parameter's; FP32 below 4,096 elements</td><td>bitsandbytes</td><td>m, v</td></tr>
 * <tr><td>{@code absmax1}, {@code absmax2}</td><td>FP32, {@code ceil(elements / block)}</td><td>bitsandbytes</td><td>the scales of their blocks</td></tr>
 * <tr><td>{@code qmap1}, {@code qmap2}</td><td>FP32, 256</td><td>bitsandbytes</td><td>must be our dynamic maps</td></tr>
 * </table>
 *
 * <p><b>Exact or not.</b> Element i of bitsandbytes is {@code qmap[state[i]]·absmax[i / block]}, as in {@link
 * dev.muonium.memory.BlockFormat#INT8_DYNAMIC_SIGNED}. Where a group keeps AdamW in 8 bits in blocks of the same size (256 in its current versions, 2,048 in old ones:
 * {@code AdamW.defaults().state(StateFormat.INT8).block(256)}), codes and scales are taken as they are, in both directions. FP32 that stays FP32 is exact too. Everything
 * else is decoded to FP32 and quantized as the group keeps it; a positive v then never becomes 0, as in a step, but codes that are taken as they are may have such zeros.
 *
 * <p>m of torch.optim.Muon is an average, {@code m = β·m + (1-β)·g}, as here. A Muon that adds up, {@code m = β·m + g}, has a buffer that is {@code 1/(1-β)} times
 * as large: multiply it by {@code 1-β} first.
 *
 * <p>Not thread-safe; use it between steps. Device and optimizer stay the caller's.
 */
public final class ForeignState {
    private final Device device;
    private final Optimizer optimizer;

    /** @param device where arrays are quantized: the optimizer's */
    public ForeignState(Device device, Optimizer optimizer) {
        this.device = device;
        this.optimizer = optimizer;
    }

    /**
     * Copies state into the optimizer: of every parameter, from one file or from several that each have some of them. A shape may have extents that are one here
     * (a kernel of a convolution and the matrix it is kept as) or be flat. FP32 master weights, which no other framework's state has, stay as they are unless a
     * file has {@code <parameter>.master_weights}, as Muonium's own FP32 checkpoints do, which can be read here, too.
     *
     * <p>{@link Optimizer#steps} becomes what the files say: the {@code step} that all parameters have. Muon's have none; where there is no other, the
     * count stays as it is. Needs memory for what has to be quantized, 1.03 bytes per element, until it returns; the ledger counts it.
     *
     * @throws CheckpointException if a parameter or key is missing, has another type or shape, or is not known, a map is not ours, the step
     *     counts disagree, or a value is not finite or negative where it must not be; nothing was changed
     * @throws SafetensorsException if a file cannot be read; nothing was changed
     */
    public void load(Path... files) {
        load(OptionalLong.empty(), List.of(files));
    }

    /**
     * The same for parameters whose counts differ, as those of frozen ones do, or that have none.
     *
     * @param steps the steps that the run has taken, which the learning-rate schedule goes by; each parameter keeps the count of its file, which must not be greater
     */
    public void load(long steps, Path... files) {
        if (steps < 0) {
            throw new IllegalArgumentException("the number of steps is " + steps + "; it must not be negative");
        }
        load(OptionalLong.of(steps), List.of(files));
    }

    private void load(OptionalLong steps, List<Path> files) {
        if (files.isEmpty()) {
            throw new IllegalArgumentException("no file was named to load state from");
        }
        try (ForeignFiles opened = ForeignFiles.open(files);
                ForeignImport imported = new ForeignImport(device, optimizer, opened, steps)) {
            imported.apply();
        }
    }

    /**
     * Writes the state as torch.optim.Muon and torch.optim.AdamW have it: FP32 in the parameters' shapes, decoded one array at a time, and {@code step} as FP32 for
     * AdamW's. The metadata has {@code optimizer steps}, which {@link #load} does not need but people may.
     *
     * @throws SafetensorsException if the file cannot be written; what was there before is untouched
     */
    public void saveTorch(Path file) {
        new ForeignExport(device, optimizer).torch(file);
    }

    /**
     * Writes the state as bitsandbytes' 8-bit AdamW has it, and Muon's, which it does not know, as torch.optim.Muon has it. Parameters below 4,096 elements
     * are FP32, and {@code step} is an integer.
     *
     * @param block elements per absmax: 256 for current versions, 2,048 for old ones
     * @throws IllegalArgumentException if it is not a power of two from 64 to 2048
     * @throws SafetensorsException if the file cannot be written; what was there before is untouched
     */
    public void saveBitsandbytes(Path file, int block) {
        new ForeignExport(device, optimizer).bitsandbytes(file, block);
    }
}
