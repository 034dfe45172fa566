package dev.muonium.nano;

import dev.muonium.checkpoint.TrainingState;
import dev.muonium.device.Device;
import dev.muonium.lowrank.GaLore;
import dev.muonium.lowrank.LowRankOptimizer;
import dev.muonium.optim.AdamW;
import dev.muonium.optim.GroupSpec;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateFormat;
import dev.muonium.optim.StatePlacement;
import dev.muonium.optim.StepReport;
import dev.muonium.optim.WeightRounding;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The optimizer that a preset asks for, over the parameters of a {@link Gpt}, and what projects its gradients, if that is asked for. */
final class GptOptimizer implements AutoCloseable {
    /** The group of the blocks' matrices. */
    static final String MATRICES = "matrices";

    private static final String EMBEDDING = "embedding";
    private static final String HEAD = "head";

    private final Optimizer optimizer;
    private final @Nullable LowRankOptimizer lowRank;

    private GptOptimizer(Optimizer optimizer, @Nullable LowRankOptimizer lowRank) {
        this.optimizer = optimizer;
        this.lowRank = lowRank;
    }

    /** Makes it; the caller closes it before the model. */
    static GptOptimizer build(Device device, Preset preset, Precision precision, List<GptParameter> parameters) {
        TrainConfig training = preset.training();
        AdamW adamW = adamW(training).weightDecay(0);
        Optimizer.Builder builder = Optimizer.builder(device)
                .group(matrices(training))
                .group(adamW.name(EMBEDDING).learningRate(training.embeddingLr()))
                .schedule(training.schedule())
                .weightRounding(rounding(precision))
                .seed(training.seed());
        builder.statePlacement(placement(training.techniques()));
        if (!preset.model().weightTied()) {
            builder.group(adamW.name(HEAD).learningRate(training.headLr()));
        }
        if (training.clip() > 0) {
            builder.clipGlobalNorm(training.clip());
        }
        Optimizer built = builder.build();
        LowRankOptimizer lowRank =
                training.techniques().useGalore() ? lowRank(device, built, training, precision) : null;
        try {
            for (GptParameter parameter : parameters) {
                String group = switch (parameter.description().kind()) {
                    case EMBEDDING -> EMBEDDING;
                    case HEAD -> HEAD;
                    default -> MATRICES;
                };
                if (lowRank != null && parameter.description().kind() == ParameterKind.MATRIX) {
                    lowRank.add(parameter.weights(), group);
                    continue;
                }
                built.add(Parameter.of(parameter.description().kind(), parameter.weights(), parameter.gradient())
                        .inGroup(group));
            }
            return new GptOptimizer(built, lowRank);
        } catch (RuntimeException e) {
            new GptOptimizer(built, lowRank).close();
            throw e;
        }
    }

    private static LowRankOptimizer lowRank(
            Device device, Optimizer optimizer, TrainConfig training, Precision precision) {
        Techniques techniques = training.techniques();
        GaLore settings = GaLore.ofRank(techniques.galoreRank())
                .refreshInterval(techniques.galoreRefreshInterval())
                .scale(techniques.galoreScale())
                .seed(training.seed());
        return new LowRankOptimizer(device, optimizer, settings, rounding(precision));
    }

    private static WeightRounding rounding(Precision precision) {
        return precision.masterWeights() ? WeightRounding.MASTER_WEIGHTS : WeightRounding.STOCHASTIC;
    }

    /** The optimizer itself. */
    Optimizer optimizer() {
        return optimizer;
    }

    /** Takes the gradients of the blocks' matrices where they are projected; else null. */
    @Nullable
    GradientHook hook() {
        LowRankOptimizer projecting = lowRank;
        if (projecting == null) {
            return null;
        }
        return parameter -> projecting.accumulate(
                parameter.name(),
                parameter.gradient().segment(),
                parameter.gradient().type());
    }

    /** Begins a step, beside the model's own gradients. */
    void zero() {
        if (lowRank != null) {
            lowRank.zero();
        }
    }

    StepReport step() {
        return lowRank == null ? optimizer.step() : lowRank.step();
    }

    /** Adds what a checkpoint needs. */
    void addTo(TrainingState state) {
        state.optimizer(optimizer);
        if (lowRank != null) {
            state.source(new ProjectionSource(lowRank));
        }
    }

    @Override
    public void close() {
        optimizer.close();
        if (lowRank != null) {
            lowRank.close();
        }
    }

    /** A file lies where the JVM's temporary files do ({@code -Djava.io.tmpdir}). */
    static StatePlacement placement(Techniques techniques) {
        return switch (techniques.offloadOptimizer()) {
            case NONE -> StatePlacement.device();
            case HOST -> StatePlacement.host();
            case FILE -> StatePlacement.file(Path.of(System.getProperty("java.io.tmpdir")));
        };
    }

    /** The group of a parameter. */
    static GroupSpec groupOf(TrainConfig training, ParameterKind kind) {
        return switch (kind) {
            case EMBEDDING -> adamW(training).weightDecay(0).name(EMBEDDING);
            case HEAD -> adamW(training).weightDecay(0).name(HEAD);
            default -> matrices(training);
        };
    }

    private static GroupSpec matrices(TrainConfig training) {
        return switch (training.matrixOptimizer()) {
            case MUON ->
                Muon.defaults()
                        .name(MATRICES)
                        .learningRate(training.matrixLr())
                        .weightDecay(training.weightDecay())
                        .newtonSchulz(training.orthogonalization().newtonSchulz())
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
