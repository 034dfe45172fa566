package dev.muonium.jmh;

import dev.muonium.memory.Shape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.global.torch;

/** PyTorch's Muon on one set of matrices, one after the other, as {@code torch.optim.Muon} takes them. */
final class TorchSide implements Side {
    private final List<TorchMuon> matrices = new ArrayList<>();

    TorchSide(int threads) {
        torch.set_num_threads(threads);
    }

    /** Argument: the number of threads. */
    public static void main(String[] args) throws IOException {
        SideProcess.serve(new TorchSide(Integer.parseInt(args[0])));
    }

    @Override
    public String describe() {
        return "libtorch (JavaCPP " + torch.class.getPackage().getImplementationVersion() + "), "
                + torch.get_cpu_capability().getString() + ", threads: " + torch.get_num_threads();
    }

    @Override
    public List<String> ways() {
        return Stream.of(TorchMuon.Way.values()).map(TorchMuon.Way::name).toList();
    }

    @Override
    public void load(MatrixSet set) {
        matrices.forEach(TorchMuon::free);
        matrices.clear();
        for (int layer = 0; layer < set.layers(); layer++) {
            for (Shape shape : set.shapes()) {
                TorchMuon matrix = new TorchMuon(shape);
                Noise.fill(matrix.weights());
                Noise.fill(matrix.gradient());
                matrices.add(matrix);
            }
        }
    }

    @Override
    public void step(String way, int count) {
        TorchMuon.Way chosen = TorchMuon.Way.valueOf(way);
        try (NoGradGuard noGradient = new NoGradGuard()) {
            for (int i = 0; i < count; i++) {
                matrices.get(i).step(chosen);
            }
        }
    }

    @Override
    public void reset(String way) {
        for (TorchMuon matrix : matrices) {
            Noise.fill(matrix.weights());
            matrix.forgetMomentum();
        }
    }

    @Override
    public MemorySegment weights(int matrix) {
        return matrices.get(matrix).weights();
    }

    @Override
    public int matrices() {
        return matrices.size();
    }
}
