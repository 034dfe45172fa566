package dev.muonium.jmh;

import dev.muonium.memory.Shape;
import java.lang.foreign.MemorySegment;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * One matrix under {@code torch.optim.Muon} (PyTorch 2.9 and later, {@code torch/optim/_muon.py}): its operations in its order, through
 * libtorch. With the same values as {@link dev.muonium.optim.Muon#defaults()}: lr 0.02, β 0.95, Nesterov, λ 0.1, {@code original}.
 *
 * <p>The intermediate tensors of a Newton-Schulz step are freed as soon as Python would drop their last reference, so that the
 * allocator and the caches work as they do there.
 */
final class TorchMuon {
    /** How the five Newton-Schulz steps are computed. */
    enum Way {
        /** {@code torch.optim.Muon} with {@code use_addmm}, which up to 2.10 is all that it knows. */
        BF16(torch.ScalarType.BFloat16, true),
        /** {@code torch.optim.Muon} with {@code use_addmm=False}: sums by themselves. */
        BF16_UNFUSED(torch.ScalarType.BFloat16, false),
        /** No setting of {@code torch.optim.Muon}, but what its user would change it to where bf16 is slow. */
        FP32(torch.ScalarType.Float, true);

        private final torch.ScalarType type;
        private final boolean addmm;

        Way(torch.ScalarType type, boolean addmm) {
            this.type = type;
            this.addmm = addmm;
        }
    }

    private static final int STEPS = 5;
    private static final double LEARNING_RATE = 0.02;
    private static final double WEIGHT_DECAY = 0.1;
    private static final Scalar A = new Scalar(3.4445);
    private static final Scalar B = new Scalar(-4.7750);
    private static final Scalar C = new Scalar(2.0315);
    private static final Scalar ONE = new Scalar(1.0);
    private static final Scalar EPSILON = new Scalar(1e-7);
    private static final Scalar MOMENTUM = new Scalar(0.95);
    private static final Scalar ONE_MINUS_MOMENTUM = new Scalar(1 - 0.95);
    private static final Scalar KEPT = new Scalar(1 - LEARNING_RATE * WEIGHT_DECAY);

    private final boolean tall;
    private final Scalar minusLearningRate;
    private final Tensor weights;
    private final Tensor gradient;
    private final Tensor momentum;

    TorchMuon(Shape shape) {
        long rows = shape.extent(0);
        long cols = shape.extent(1);
        tall = rows > cols;
        minusLearningRate = new Scalar(-LEARNING_RATE * Math.sqrt(Math.max(1, (double) rows / cols)));
        weights = torch.zeros(rows, cols);
        gradient = torch.zeros(rows, cols);
        momentum = torch.zeros(rows, cols);
    }

    MemorySegment weights() {
        return segment(weights);
    }

    MemorySegment gradient() {
        return segment(gradient);
    }

    private static MemorySegment segment(Tensor tensor) {
        return MemorySegment.ofAddress(tensor.data_ptr().address()).reinterpret(tensor.nbytes());
    }

    void forgetMomentum() {
        try (PointerScope scope = new PointerScope()) {
            momentum.zero_();
        }
    }

    void step(Way way) {
        try (PointerScope scope = new PointerScope()) {
            momentum.lerp_(gradient, ONE_MINUS_MOMENTUM);
            Tensor update = gradient.lerp(momentum, MOMENTUM);
            Tensor orthogonal = newtonSchulz(update, way);
            weights.mul_(KEPT);
            weights.add_(orthogonal, minusLearningRate);
        }
    }

    private Tensor newtonSchulz(Tensor update, Way way) {
        Tensor x = way.type == torch.ScalarType.Float ? update : update.to(way.type);
        if (tall) {
            x = x.t();
        }
        x.div_(x.norm().clamp_min(EPSILON));
        for (int step = 0; step < STEPS; step++) {
            Tensor next = way.addmm ? polynomial(x) : unfusedPolynomial(x);
            // The first may be the update or a view, which the step's scope frees.
            if (step > 0) {
                x.deallocate();
            }
            x = next;
        }
        return tall ? x.t() : x;
    }

    private static Tensor polynomial(Tensor x) {
        Tensor gram = x.matmul(x.t());
        Tensor p = torch.addmm(gram, gram, gram, B, C);
        Tensor next = torch.addmm(x, p, x, A, ONE);
        gram.deallocate();
        p.deallocate();
        return next;
    }

    /** {@code b·A + c·A·A}, then {@code a·X + P·X}, as Python evaluates them from left to right. */
    private static Tensor unfusedPolynomial(Tensor x) {
        Tensor gram = x.matmul(x.t());
        Tensor linear = gram.mul(B);
        Tensor scaled = gram.mul(C);
        Tensor square = scaled.matmul(gram);
        scaled.deallocate();
        Tensor p = linear.add(square);
        linear.deallocate();
        square.deallocate();
        gram.deallocate();
        Tensor ax = x.mul(A);
        Tensor px = p.matmul(x);
        Tensor next = ax.add(px);
        ax.deallocate();
        px.deallocate();
        p.deallocate();
        return next;
    }

    void free() {
        weights.deallocate();
        gradient.deallocate();
        momentum.deallocate();
    }
}
