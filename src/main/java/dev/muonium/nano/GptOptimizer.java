package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.GroupSpec;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.StateFormat;
import dev.muonium.optim.StatePlacement;
import dev.muonium.optim.WeightRounding;
import java.nio.file.Path;
import java.util.List;

/** The optimizer that a preset asks for, over the parameters of a {@link Gpt}. */
final class GptOptimizer {
    /** The group of the blocks' matrices. */
    static final String MATRICES = "matrices";

    private static final String EMBEDDING = "embedding";
    private static final String HEAD = "head";

    private GptOptimizer() {}

    /** Makes it; the caller closes it before the model. */
    static Optimizer build(Device device, Preset preset, Precision precision, List<GptParameter> parameters) {
        TrainConfig training = preset.training();
        AdamW adamW = adamW(training).weightDecay(0);
        Optimizer.Builder builder = Optimizer.builder(device)
                .group(matrices(training))
                .group(adamW.name(EMBEDDING).learningRate(training.embeddingLr()))
                .schedule(training.schedule())
                .weightRounding(precision.masterWeights() ? WeightRounding.MASTER_WEIGHTS : WeightRounding.STOCHASTIC)
                .seed(training.seed());
        builder.statePlacement(placement(training.techniques()));
        if (!preset.model().weightTied()) {
            builder.group(adamW.name(HEAD).learningRate(training.headLr()));
        }
        if (training.clip() > 0) {
            builder.clipGlobalNorm(training.clip());
        }
        Optimizer built = builder.build();
        try {
            for (GptParameter parameter : parameters) {
                String group = switch (parameter.description().kind()) {
                    case EMBEDDING -> EMBEDDING;
                    case HEAD -> HEAD;
                    default -> MATRICES;
                };
                built.add(Parameter.of(parameter.description().kind(), parameter.weights(), parameter.gradient())
                        .inGroup(group));
            }
            return built;
        } catch (RuntimeException e) {
            built.close();
            throw e;
        }
    }

    /** A file lies where the JVM's temporary files do ({@code -Djava.io.tmpdir}). */
    private static StatePlacement placement(Techniques techniques) {
        return switch (techniques.offloadOptimizer()) {
            case NONE -> StatePlacement.device();
            case HOST -> StatePlacement.host();
            case FILE -> StatePlacement.file(Path.of(System.getProperty("java.io.tmpdir")));
        };
    }

    private static GroupSpec matrices(TrainConfig training) {
        return switch (training.matrixOptimizer()) {
            case MUON ->
                Muon.defaults()
                        .name(MATRICES)
                        .learningRate(training.matrixLr())
                        .weightDecay(training.weightDecay())
                        .state(state(training));
            case ADAMW ->
                adamW(training).name(MATRICES).learningRate(training.matrixLr()).weightDecay(training.weightDecay());
        };
    }

    private static AdamW adamW(TrainConfig training) {
        return AdamW.defaults()
                .betas(training.beta1(), training.beta2())
                .epsilon(training.adamEps())
                .state(state(training));
    }

    private static StateFormat state(TrainConfig training) {
        return training.use8bitOptim() ? StateFormat.INT8 : StateFormat.FP32;
    }
}
