package dev.muonium.jmh;

import dev.muonium.device.CpuDevice;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateFormat;
import dev.muonium.ortho.CoefficientSchedule;
import dev.muonium.ortho.NewtonSchulz;
import dev.muonium.ortho.NormConvention;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Muonium's {@link Optimizer} with INT8 state. Its ways are the library's default policy and Keller's own five steps, each an optimizer
 * of its own over the same weights and gradients; where the default is Keller's five steps, there is one.
 */
final class MuoniumSide implements Side {
    static final String DEFAULT = "default";
    static final String KELLER = "keller";

    private final int threads;
    private final List<Tensor> weights = new ArrayList<>();
    private final List<Tensor> gradients = new ArrayList<>();
    private final Map<String, Optimizer> optimizers = new LinkedHashMap<>();
    private CpuDevice device;

    MuoniumSide(int threads) {
        this.threads = threads;
        this.device = Device.cpu(threads);
    }

    private static NewtonSchulz kellers() {
        return new NewtonSchulz(CoefficientSchedule.keller(), NormConvention.ADD_EPSILON, 1e-7, null, null);
    }

    private static Muon group(String way) {
        Muon int8 = Muon.defaults().state(StateFormat.INT8);
        return way.equals(KELLER) ? int8.newtonSchulz(kellers()) : int8;
    }

    /** Argument: the number of threads. */
    public static void main(String[] args) throws IOException {
        SideProcess.serve(new MuoniumSide(Integer.parseInt(args[0])));
    }

    @Override
    public String describe() {
        NewtonSchulz policy = Muon.defaults().newtonSchulzOn(device);
        return "Muonium, " + device.describe() + ", Newton-Schulz in " + policy.precisionOn(device)
                + ", default policy: " + policy.schedule().name() + " ("
                + policy.schedule().steps().size() + " steps)";
    }

    @Override
    public List<String> ways() {
        return Muon.defaults().newtonSchulzOn(device).equals(kellers()) ? List.of(DEFAULT) : List.of(DEFAULT, KELLER);
    }

    @Override
    public void load(MatrixSet set) {
        close();
        device = Device.cpu(threads);
        for (int layer = 0; layer < set.layers(); layer++) {
            for (Shape shape : set.shapes()) {
                String name = "matrix" + weights.size();
                weights.add(noise(Purpose.WEIGHTS, name, shape));
                gradients.add(noise(Purpose.GRADIENTS, name + ".gradient", shape));
            }
        }
        ways().forEach(this::open);
    }

    private Tensor noise(Purpose purpose, String name, Shape shape) {
        Tensor tensor = device.allocate(purpose, name, ElementType.F32, shape);
        Noise.fill(tensor.segment());
        return tensor;
    }

    private void open(String way) {
        Muon group = group(way);
        Optimizer optimizer = Optimizer.builder(device).group(group).build();
        for (int i = 0; i < weights.size(); i++) {
            optimizer.add(Parameter.of(ParameterKind.MATRIX, weights.get(i), gradients.get(i))
                    .inGroup(group.name()));
        }
        optimizers.put(way, optimizer);
    }

    @Override
    public void step(String way, int count) {
        if (count != weights.size()) {
            throw new IllegalArgumentException("Muonium steps over all " + weights.size() + " matrices, not " + count);
        }
        optimizers.get(way).step();
    }

    @Override
    public void reset(String way) {
        weights.forEach(tensor -> Noise.fill(tensor.segment()));
        optimizers.get(way).close();
        open(way);
    }

    @Override
    public MemorySegment weights(int matrix) {
        return weights.get(matrix).segment();
    }

    @Override
    public int matrices() {
        return weights.size();
    }

    private void close() {
        optimizers.values().forEach(Optimizer::close);
        optimizers.clear();
        weights.forEach(Tensor::close);
        weights.clear();
        gradients.forEach(Tensor::close);
        gradients.clear();
        device.close();
    }
}
