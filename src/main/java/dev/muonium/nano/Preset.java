package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.nano.GptConfig.Mlp;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * A model and how it is trained, under a name; made from the flat keys of a preset file.
 *
 * @param name for messages and reports
 * @param tokenizer {@code byte} or {@code gpt2}; it decides the vocabulary
 * @param model the model's shape
 * @param training how it is trained
 */
public record Preset(String name, String tokenizer, GptConfig model, TrainConfig training) {
    /** One token per byte of UTF-8. */
    public static final String BYTE = "byte";

    /** GPT-2's byte-pair encoding. */
    public static final String GPT2 = "gpt2";

    private static final Set<String> MATRIX_OPTIMIZERS = Set.of("muon", "adamw");
    private static final int BYTE_VOCAB = 256;
    private static final int GPT2_VOCAB = 50257;

    /**
     * Reads the keys of a preset. Keys that are left out have the defaults below, but for {@code layers}, {@code d_model},
     * {@code heads}, {@code context}, {@code batch} and {@code steps}, which are needed.
     *
     * @param keys integers, numbers, booleans and texts by key, as a TOML file gives them
     * @throws IllegalArgumentException if a key is unknown, missing, of the wrong type or out of range; one sentence names the preset, the key, the value and what is allowed
     */
    public static Preset of(String name, Map<String, ?> keys) {
        PresetKeys read = new PresetKeys(name, keys);
        String tokenizer = read.choice("tokenizer", BYTE, Set.of(BYTE, GPT2));
        try {
            GptConfig model = model(read, tokenizer.equals(BYTE) ? BYTE_VOCAB : GPT2_VOCAB);
            TrainConfig training = training(read, model);
            read.requireNoOthers();
            requireRank(training.techniques(), model);
            if ((long) training.batch() * model.context() > Integer.MAX_VALUE) {
                throw read.refused(
                        "batch", training.batch(), "times context (" + model.context() + ") it must be below 2^31");
            }
            return new Preset(name, tokenizer, model, training);
        } catch (IllegalArgumentException e) {
            String message = String.valueOf(e.getMessage());
            throw message.startsWith("preset '")
                    ? e
                    : new IllegalArgumentException("preset '" + name + "': " + message, e);
        }
    }

    private static GptConfig model(PresetKeys keys, int vocab) {
        int dModel = keys.integer("d_model", null);
        int heads = keys.integer("heads", null);
        int headDim = keys.integer("head_dim", heads > 0 ? dModel / heads : 0);
        Mlp mlp = keys.choice("mlp", "relu2", Set.of("relu2", "gated")).equals("relu2") ? Mlp.RELU2 : Mlp.GATED;
        double factor = keys.real("mlp_factor", mlp == Mlp.RELU2 ? 4.0 : 3.5);
        double width = factor * dModel;
        if (width != Math.rint(width) || width < 1 || width > Integer.MAX_VALUE) {
            throw keys.refused("mlp_factor", factor, "times d_model (" + dModel + ") it must give a whole width");
        }
        return new GptConfig(
                vocab,
                keys.integer("layers", null),
                dModel,
                heads,
                keys.integer("kv_heads", heads),
                headDim,
                mlp,
                (int) width,
                keys.integer("context", null),
                keys.flag("weight_tied", false),
                keys.real("logit_soft_cap", 15.0),
                keys.real("rope_base", 10_000.0),
                keys.real("norm_eps", 1e-6));
    }

    private static TrainConfig training(PresetKeys keys, GptConfig model) {
        return new TrainConfig(
                keys.integer("batch", null),
                keys.integer("grad_accum_steps", 1),
                keys.integer("steps", null),
                keys.longInteger("seed", 1L),
                MatrixOptimizer.valueOf(keys.choice("matrix_optimizer", "muon", MATRIX_OPTIMIZERS)
                        .toUpperCase(Locale.ROOT)),
                new Orthogonalization(
                        keys.text("ns_schedule", Orthogonalization.AUTO),
                        Orthogonalization.Norm.valueOf(
                                keys.choice("ns_norm", "auto", Set.of("auto", "frobenius", "gram"))
                                        .toUpperCase(Locale.ROOT))),
                keys.real("matrix_lr", 0.02),
                keys.real("embedding_lr", 0.2),
                keys.real("head_lr", 0.004),
                keys.real("weight_decay", 0.0),
                keys.real("adam_beta1", 0.8),
                keys.real("adam_beta2", 0.95),
                keys.real("adam_eps", 1e-8),
                keys.integer("warmup_steps", 40),
                keys.real("warmdown_fraction", 0.4),
                keys.real("final_lr_fraction", 0.05),
                keys.real("momentum_start", 0.85),
                keys.real("momentum_end", 0.95),
                keys.integer("momentum_warmup_steps", 300),
                keys.real("clip", 1.0),
                keys.flag("use_8bit_optim", true),
                new PrecisionChoice(
                        precision(keys, "precision"), precision(keys, "gradients"), keys.flag("master_weights", true)),
                techniques(keys, model),
                new Saving(
                        keys.integer("checkpoint_every", 0),
                        keys.integer("keep_last_checkpoints", 3),
                        keys.flag("background_checkpoints", true)),
                keys.integer("eval_every", 0),
                keys.integer("eval_batches", 8),
                keys.text("sample_prompt", "My fellow citizens, "),
                keys.integer("sample_tokens", 200),
                keys.real("sample_temperature", 0.8),
                keys.integer("sample_top_k", 40));
    }

    private static PrecisionChoice.Type precision(PresetKeys keys, String key) {
        return PrecisionChoice.Type.valueOf(
                keys.choice(key, "auto", Set.of("auto", "f32", "bf16")).toUpperCase(Locale.ROOT));
    }

    private static Techniques techniques(PresetKeys keys, GptConfig model) {
        return new Techniques(
                keys.flag("use_galore", false),
                keys.integer("galore_rank", Math.max(1, smallestSide(model) / 4)),
                keys.integer("galore_refresh_interval", 200),
                keys.real(
                        "galore_scale",
                        keys.choice("matrix_optimizer", "muon", MATRIX_OPTIMIZERS)
                                        .equals("muon")
                                ? 1.0
                                : 0.25),
                Offload.valueOf(keys.choice("offload_optimizer", "none", Set.of("none", "host", "file"))
                        .toUpperCase(Locale.ROOT)),
                keys.countOrChoice("activation_checkpointing", Map.of("none", 0, "block", 1)),
                keys.flag("fp8_activations", false),
                keys.flag("fp8_gradients", false));
    }

    private static int smallestSide(GptConfig model) {
        return Math.min(Math.min(model.dModel(), model.mlpWidth()), model.keyWidth());
    }

    private static void requireRank(Techniques techniques, GptConfig model) {
        if (techniques.useGalore() && techniques.galoreRank() > smallestSide(model)) {
            throw new IllegalArgumentException("galore_rank is " + techniques.galoreRank() + "; it must be at most "
                    + smallestSide(model) + ", the smallest side of the matrices it projects");
        }
    }

    /**
     * The precision that this comes to on a device.
     *
     * @throws IllegalArgumentException if the device cannot train such a model; one sentence says why
     */
    public Precision precisionOn(Device device) {
        Precision precision = training.precision().on(device);
        requirePlacementOn(device);
        if (Grain.of(device) == Grain.WHOLE) {
            FusedAttention.requireHeadDim(model);
        }
        return precision;
    }

    private void requirePlacementOn(Device device) {
        Offload offload = training.techniques().offloadOptimizer();
        boolean isHost = device.memory().isHost();
        if (offload == Offload.HOST && isHost) {
            throw new IllegalArgumentException(
                    "preset '" + name + "': offload_optimizer is \"host\", which is for a GPU; on " + device.describe()
                            + " the state is in memory of the host already, so take \"file\" or \"none\"");
        }
    }

    /** The same with another training. */
    public Preset withTraining(TrainConfig newTraining) {
        return new Preset(name, tokenizer, model, newTraining);
    }
}
