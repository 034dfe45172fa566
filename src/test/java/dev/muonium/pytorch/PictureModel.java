package dev.muonium.pytorch;

import java.util.Random;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Tells in which quarter of a picture something is bright: a convolution, one of two groups, a fused matrix of three parts over the 16 places that are left, a
 * stack of three experts, a head. The same seed gives the same weights.
 */
final class PictureModel extends Module {
    static final String CONVOLUTION = "convolution.weight";
    static final String GROUPED = "grouped.weight";
    static final String FUSED = "fused.weight";
    static final String EXPERTS = "experts";
    static final String HEAD = "head.weight";

    private static final int SIDE = 8;
    private static final int BATCH = 12;

    private final Conv2dImpl convolution;
    private final Conv2dImpl grouped;
    private final LinearImpl fused;
    private final Tensor experts;
    private final LinearImpl head;

    PictureModel() {
        torch.manual_seed(7);
        convolution = register_module("convolution", new Conv2dImpl(new Conv2dOptions(1, 6, new LongPointer(3, 3))));
        Conv2dOptions ofTwo = new Conv2dOptions(6, 8, new LongPointer(3, 3));
        ofTwo.groups().put(2);
        grouped = register_module("grouped", new Conv2dImpl(ofTwo));
        fused = register_module("fused", new LinearImpl(8, 16));
        try (PointerScope _ = new PointerScope()) {
            register_parameter(EXPERTS, torch.randn(3, 8, 12).div(new org.bytedeco.pytorch.Scalar(3)));
        }
        experts = Torch.parameter(this, EXPERTS);
        head = register_module("head", new LinearImpl(12L * 16, 4));
    }

    PictureModel inBfloat16() {
        to(torch.ScalarType.BFloat16, false);
        return this;
    }

    private Tensor forward(Tensor pictures) {
        Tensor x = torch.relu(convolution.forward(pictures));
        x = torch.relu(grouped.forward(x)).flatten(2, -1).transpose(1, 2); // batch × places × channels
        Tensor parts = fused.forward(x);
        Tensor gate =
                torch.cat(new org.bytedeco.pytorch.TensorVector(parts.narrow(2, 8, 4), parts.narrow(2, 12, 4)), 2);
        x = x.add(parts.narrow(2, 0, 8).mul(torch.sigmoid(gate)));
        x = torch.relu(torch.matmul(x.unsqueeze(1), experts)).sum(1);
        return head.forward(x.flatten(1, -1));
    }

    /** Adds the gradients of a batch that the number determines, and returns its loss. */
    float backward(int batch) {
        try (PointerScope _ = new PointerScope()) {
            Random random = new Random(batch);
            float[] pictures = new float[BATCH * SIDE * SIDE];
            long[] quarters = new long[BATCH];
            for (int i = 0; i < pictures.length; i++) {
                int place = i % (SIDE * SIDE);
                if (place == 0) {
                    quarters[i / (SIDE * SIDE)] = random.nextInt(4);
                }
                int quarter = place / SIDE / (SIDE / 2) * 2 + place % SIDE / (SIDE / 2);
                pictures[i] = (float) random.nextGaussian() + (quarter == quarters[i / (SIDE * SIDE)] ? 1 : 0);
            }
            Tensor input = Tensor.create(pictures, BATCH, 1, SIDE, SIDE).to(experts.scalar_type());
            Tensor loss = torch.cross_entropy_loss(forward(input).to(torch.ScalarType.Float), Tensor.create(quarters));
            loss.backward();
            return loss.item_float();
        }
    }
}
