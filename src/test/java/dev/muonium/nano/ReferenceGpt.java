package dev.muonium.nano;

import dev.muonium.nano.GptConfig.Mlp;
import java.util.Arrays;

/**
 * The forward pass and the loss of {@link GptConfig}, in double precision, one token after the other, straight from the formulas. It shares
 * nothing with what it is the oracle of but the order of parameters.
 */
final class ReferenceGpt {
    private final GptConfig config;

    ReferenceGpt(GptConfig config) {
        this.config = config;
    }

    /** Mean loss of sequences; {@code parameters} in the order of {@link GptConfig#parameters()}. */
    double loss(double[][] parameters, int[][] tokens, int[][] targets) {
        double sum = 0;
        int count = 0;
        for (int b = 0; b < tokens.length; b++) {
            double[][] logits = logits(parameters, tokens[b]);
            for (int t = 0; t < tokens[b].length; t++) {
                sum += crossEntropy(logits[t], targets[b][t]);
                count++;
            }
        }
        return sum / count;
    }

    static double crossEntropy(double[] z, int target) {
        double most = Arrays.stream(z).max().orElseThrow();
        double total = 0;
        for (double value : z) {
            total += Math.exp(value - most);
        }
        return most + Math.log(total) - z[target];
    }

    /** Capped logits of each position of a sequence. */
    double[][] logits(double[][] parameters, int[] tokens) {
        int d = config.dModel();
        int next = 0;
        double[] embedding = parameters[next++];
        double[][] x = new double[tokens.length][];
        for (int t = 0; t < tokens.length; t++) {
            x[t] = norm(Arrays.copyOfRange(embedding, tokens[t] * d, (tokens[t] + 1) * d));
        }
        for (int layer = 0; layer < config.layers(); layer++) {
            double[] wq = parameters[next++];
            double[] wk = parameters[next++];
            double[] wv = parameters[next++];
            double[] wo = parameters[next++];
            addAttention(x, wq, wk, wv, wo);
            double[] gate = config.mlp() == Mlp.GATED ? parameters[next++] : null;
            double[] up = parameters[next++];
            double[] down = parameters[next++];
            for (double[] row : x) {
                add(row, mlp(norm(row), gate, up, down));
            }
        }
        double[] head = config.weightTied() ? embedding : parameters[next];
        double[][] logits = new double[tokens.length][];
        for (int t = 0; t < tokens.length; t++) {
            logits[t] = times(head, config.vocab(), norm(x[t]));
            if (config.softCap() > 0) {
                for (int i = 0; i < logits[t].length; i++) {
                    logits[t][i] = config.softCap() * Math.tanh(logits[t][i] / config.softCap());
                }
            }
        }
        return logits;
    }

    private void addAttention(double[][] x, double[] wq, double[] wk, double[] wv, double[] wo) {
        int length = x.length;
        int dim = config.headDim();
        double[][] q = new double[length][];
        double[][] k = new double[length][];
        double[][] v = new double[length][];
        for (int t = 0; t < length; t++) {
            double[] normalized = norm(x[t]);
            q[t] = normHeads(times(wq, config.queryWidth(), normalized), t);
            k[t] = normHeads(times(wk, config.keyWidth(), normalized), t);
            v[t] = times(wv, config.keyWidth(), normalized);
        }
        int group = config.heads() / config.kvHeads();
        for (int t = 0; t < length; t++) {
            double[] out = new double[config.queryWidth()];
            for (int head = 0; head < config.heads(); head++) {
                int queryAt = head * dim;
                int keyAt = head / group * dim;
                double[] weight = new double[t + 1];
                double total = 0;
                for (int s = 0; s <= t; s++) {
                    double score = 0;
                    for (int i = 0; i < dim; i++) {
                        score += q[t][queryAt + i] * k[s][keyAt + i];
                    }
                    weight[s] = Math.exp(score / Math.sqrt(dim));
                    total += weight[s];
                }
                for (int s = 0; s <= t; s++) {
                    for (int i = 0; i < dim; i++) {
                        out[queryAt + i] += weight[s] / total * v[s][keyAt + i];
                    }
                }
            }
            add(x[t], times(wo, config.dModel(), out));
        }
    }

    private double[] normHeads(double[] heads, int position) {
        int dim = config.headDim();
        double[] out = new double[heads.length];
        for (int at = 0; at < heads.length; at += dim) {
            double[] turned = new double[dim];
            for (int i = 0; i < dim / 2; i++) {
                double angle = position / Math.pow(config.ropeBase(), 2.0 * i / dim);
                double a = heads[at + i];
                double b = heads[at + dim / 2 + i];
                turned[i] = a * Math.cos(angle) - b * Math.sin(angle);
                turned[dim / 2 + i] = a * Math.sin(angle) + b * Math.cos(angle);
            }
            System.arraycopy(norm(turned), 0, out, at, dim);
        }
        return out;
    }

    private double[] mlp(double[] x, double[] gate, double[] up, double[] down) {
        double[] hidden = times(up, config.mlpWidth(), x);
        double[] g = gate == null ? null : times(gate, config.mlpWidth(), x);
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = g == null ? Math.pow(Math.max(hidden[i], 0), 2) : g[i] / (1 + Math.exp(-g[i])) * hidden[i];
        }
        return times(down, config.dModel(), hidden);
    }

    private double[] norm(double[] x) {
        double squares = 0;
        for (double value : x) {
            squares += value * value;
        }
        double[] y = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            y[i] = x[i] / Math.sqrt(squares / x.length + config.normEps());
        }
        return y;
    }

    private static double[] times(double[] w, int outputs, double[] x) {
        double[] y = new double[outputs];
        for (int o = 0; o < outputs; o++) {
            for (int i = 0; i < x.length; i++) {
                y[o] += w[o * x.length + i] * x[i];
            }
        }
        return y;
    }

    private static void add(double[] x, double[] y) {
        for (int i = 0; i < x.length; i++) {
            x[i] += y[i];
        }
    }
}
