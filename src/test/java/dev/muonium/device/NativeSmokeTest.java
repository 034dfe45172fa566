package dev.muonium.device;

import static dev.muonium.bindings.mu.Muonium.*;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.bindings.mu.mu_adamw_item;
import dev.muonium.bindings.mu.mu_adamw_params;
import dev.muonium.bindings.mu.mu_gradient;
import dev.muonium.bindings.mu.mu_muon_item;
import dev.muonium.bindings.mu.mu_newton_schulz_start;
import dev.muonium.bindings.mu.mu_panel_product;
import dev.muonium.bindings.mu.mu_step;
import dev.muonium.memory.Bf16;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Calls every function that {@code muonium.h} declares, as Java binds it, with arguments so small that the result can be
 * seen: does each reach its function with its arguments in the right order?
 */
@Tag("tier")
final class NativeSmokeTest {
    private static final Path HEADER = Path.of("native/include/muonium.h");
    private static final Pattern DECLARATION = Pattern.compile("^MU_API\\s[^;(]*?\\b(mu_\\w+)\\(", Pattern.MULTILINE);
    private static final MemorySegment NULL = MemorySegment.NULL;

    private final Map<String, Runnable> calls = calls();
    private Arena arena;
    private NativeContext opened;
    private MemorySegment context;

    @BeforeEach
    void open() {
        var _ = NativeLibraries.require();
        arena = Arena.ofConfined();
        try (CpuDevice device = Device.cpu(1)) {
            opened = NativeContext.open(device.tier());
        }
        context = opened.handle();
    }

    @AfterEach
    void close() {
        opened.close();
        arena.close();
    }

    @Test
    void everyDeclaredFunctionIsCalled() throws IOException {
        var declared = new TreeSet<String>();
        DECLARATION.matcher(Files.readString(HEADER)).results().forEach(match -> declared.add(match.group(1)));
        assertTrue(declared.size() > 15, declared.toString());
        assertEquals(declared, calls.keySet());
    }

    @TestFactory
    Iterable<DynamicTest> calling() {
        return calls.entrySet().stream()
                .map(call -> DynamicTest.dynamicTest(
                        call.getKey(), () -> call.getValue().run()))
                .toList();
    }

    private Map<String, Runnable> calls() {
        Map<String, Runnable> all = new TreeMap<>();
        library(all);
        formats(all);
        passes(all);
        optimizers(all);
        wholeSteps(all);
        newtonSchulz(all);
        norms(all);
        attention(all);
        activations(all);
        losses(all);
        return all;
    }

    private void library(Map<String, Runnable> all) {
        all.put("mu_abi_version", () -> assertEquals(MU_ABI_VERSION(), mu_abi_version()));
        all.put("mu_version", () -> assertTrue(mu_version().getString(0).matches("\\d+\\.\\d+\\.\\d+.*")));
        all.put("mu_last_error", () -> {
            assertEquals(MU_INVALID_ARGUMENT(), mu_quantize(NULL, 1, 64, NULL, 0, NULL, NULL, 0, 64));
            assertTrue(mu_last_error().getString(0).startsWith("mu_quantize: "));
        });
        all.put(
                "mu_status_name",
                () -> assertNotEquals(
                        mu_status_name(MU_OK()).getString(0),
                        mu_status_name(MU_UNSUPPORTED()).getString(0)));
        all.put("mu_cpu_best_tier", () -> assertTrue(mu_cpu_best_tier() >= MU_TIER_SCALAR()));
        all.put(
                "mu_tier_name",
                () -> assertEquals("avx2", mu_tier_name(MU_TIER_AVX2()).getString(0)));
        all.put("mu_cpu_has_bf16", () -> assertTrue(mu_cpu_has_bf16() == 0 || mu_cpu_has_bf16() == 1));
        all.put("mu_cpu_name", () -> assertTrue(mu_cpu_name().getString(0).length() < 1_000));
        all.put("mu_context_create", () -> {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            ok(mu_context_create(MU_BACKEND_CPU(), NULL, 0, NULL, MU_TIER_SCALAR(), out));
            MemorySegment created = out.get(ValueLayout.ADDRESS, 0);
            assertEquals(MU_TIER_SCALAR(), mu_context_tier(created));
            ok(mu_context_destroy(created));
        });
        all.put("mu_context_destroy", () -> ok(mu_context_destroy(NULL)));
        all.put("mu_context_tier", () -> assertEquals(opened.tier().code(), mu_context_tier(context)));
        all.put("mu_context_device_bytes", () -> assertEquals(0, mu_context_device_bytes(context)));
    }

    private void formats(Map<String, Runnable> all) {
        all.put("mu_quantize", () -> {
            MemorySegment codes = arena.allocate(3);
            MemorySegment scales = floats(0);
            ok(mu_quantize(context, MU_FORMAT_INT8_LINEAR(), 64, floats(127, -3, 0), MU_F32(), codes, scales, 0, 3));
            assertArrayEquals(new byte[] {127, -3, 0}, codes.toArray(ValueLayout.JAVA_BYTE));
            assertFloats(scales, 1);
        });
        all.put("mu_dequantize", () -> {
            MemorySegment codes = arena.allocateFrom(ValueLayout.JAVA_BYTE, (byte) 127, (byte) -3);
            MemorySegment out = floats(0, 0);
            ok(mu_dequantize(context, MU_FORMAT_INT8_LINEAR(), 64, codes, floats(2), out, MU_F32(), 0, 2));
            assertFloats(out, 254, -6);
        });
        all.put("mu_fp8_operand", () -> {
            MemorySegment codes = arena.allocate(16 * 4, 16);
            MemorySegment scales = floats(0, 0, 0, 0);
            ok(mu_fp8_operand(
                    context,
                    MU_FORMAT_FP8_E4M3(),
                    MU_SCALING_VECTORS(),
                    1,
                    floats(448, 1, 2, -1),
                    MU_F32(),
                    2,
                    2,
                    2,
                    codes,
                    16,
                    4,
                    scales,
                    4));
            // The rows of the transpose: 448, 2 and 1, -1.
            assertFloats(scales, 1, 1 / 448f, 0, 0);
            assertEquals(0x7e, codes.get(ValueLayout.JAVA_BYTE, 0));
            assertEquals(0x40, codes.get(ValueLayout.JAVA_BYTE, 1));
            assertEquals(0x7e, codes.get(ValueLayout.JAVA_BYTE, 16));
            assertEquals((byte) 0xfe, codes.get(ValueLayout.JAVA_BYTE, 17));
        });
        all.put("mu_dynamic_map", () -> {
            MemorySegment map = arena.allocate(ValueLayout.JAVA_FLOAT, 256);
            ok(mu_dynamic_map(MU_FORMAT_INT8_DYNAMIC_UNSIGNED(), map));
            assertEquals(1, map.getAtIndex(ValueLayout.JAVA_FLOAT, 255));
        });
    }

    private void passes(Map<String, Runnable> all) {
        all.put("mu_sum_squares", () -> {
            MemorySegment sum = arena.allocate(ValueLayout.JAVA_DOUBLE);
            ok(mu_sum_squares(context, floats(100, 3, 4), MU_F32(), 1, 3, sum));
            assertEquals(25, sum.get(ValueLayout.JAVA_DOUBLE, 0));
        });
        all.put("mu_scale", () -> {
            MemorySegment out = floats(9, 9, 9, 9);
            ok(mu_scale(context, 2, floats(1, 2, 3, 4), MU_F32(), 2, out, MU_F32(), 2, 1, 0, 2));
            assertFloats(out, 2, 9, 6, 9);
        });
        all.put("mu_axpby", () -> {
            MemorySegment out = floats(9, 9, 9);
            ok(mu_axpby(
                    context, 2, floats(1, 2), MU_F32(), 1, 10, floats(3, 4), MU_F32(), 1, out, MU_F32(), 2, 1, 0, 2));
            assertFloats(out, 32, 9, 44);
        });
        all.put("mu_mirror_upper", () -> {
            MemorySegment x = floats(1, 2, 0, 4);
            ok(mu_mirror_upper(context, x, MU_F32(), 2, 0, 2));
            assertFloats(x, 1, 2, 2, 4);
        });
    }

    private void optimizers(Map<String, Runnable> all) {
        all.put("mu_muon_momentum", () -> {
            MemorySegment momentum = floats(2);
            MemorySegment update = floats(0);
            MemorySegment sum = arena.allocate(ValueLayout.JAVA_DOUBLE);
            ok(mu_muon_momentum(
                    context,
                    MU_FORMAT_F32(),
                    64,
                    floats(4),
                    MU_F32(),
                    2,
                    momentum,
                    NULL,
                    update,
                    MU_F32(),
                    0.5,
                    1,
                    0,
                    1,
                    sum));
            assertFloats(momentum, 5); // 0.5 * 2 + 0.5 * (2 * 4)
            assertFloats(update, 6.5f); // 0.5 * 8 + 0.5 * 5
            assertEquals(42.25, sum.get(ValueLayout.JAVA_DOUBLE, 0));
        });
        all.put("mu_muon_update", () -> {
            MemorySegment w = floats(10, 20);
            ok(mu_muon_update(context, w, MU_F32(), 2, NULL, floats(1, 2), MU_F32(), 2, 0.5f, 3, NULL, 2, 0, 1));
            assertFloats(w, 2, 4);
        });
        all.put("mu_adamw", () -> {
            MemorySegment params = mu_adamw_params.allocate(arena);
            mu_adamw_params.lr(params, 0.5);
            mu_adamw_params.beta1(params, 0.5);
            mu_adamw_params.beta2(params, 0.75);
            mu_adamw_params.eps(params, 0);
            mu_adamw_params.weight_decay(params, 1);
            mu_adamw_params.bias_correction1(params, 0.5);
            mu_adamw_params.bias_correction2(params, 0.25);
            mu_adamw_params.gradient_scale(params, 1);
            MemorySegment w = floats(10);
            MemorySegment m = floats(0);
            MemorySegment v = floats(0);
            ok(mu_adamw(
                    context,
                    params,
                    64,
                    w,
                    MU_F32(),
                    NULL,
                    floats(-2),
                    MU_F32(),
                    MU_FORMAT_F32(),
                    m,
                    NULL,
                    MU_FORMAT_F32(),
                    v,
                    NULL,
                    NULL,
                    0,
                    1));
            assertFloats(w, 5.5f); // 10 * (1 - 0.5 * 1) - 0.5 * sign(g)
            assertFloats(m, -1);
            assertFloats(v, 1);
        });
    }

    private void wholeSteps(Map<String, Runnable> all) {
        all.put("mu_gradient_sweep", () -> {
            MemorySegment gradient = mu_gradient.allocate(arena);
            mu_gradient.gradient(gradient, floats(3, 4));
            mu_gradient.elements(gradient, 2);
            mu_gradient.limit(gradient, 1e30);
            MemorySegment step = step(2);
            mu_step.clip_norm(step, 5);
            ok(mu_gradient_sweep(context, gradient, 1, 1, arena.allocate(ValueLayout.JAVA_DOUBLE), step));
            assertEquals(10, mu_step.norm(step));
            assertEquals(1, mu_step.scale(step));
            assertEquals(-1, mu_step.first_non_finite(step));
        });
        all.put("mu_muon_momentum_many", () -> {
            MemorySegment momentum = floats(0);
            MemorySegment sum = arena.allocate(ValueLayout.JAVA_DOUBLE);
            MemorySegment item = muonItem();
            mu_muon_item.gradient(item, floats(10));
            mu_muon_item.momentum(item, momentum);
            mu_muon_item.update(item, floats(0));
            mu_muon_item.beta(item, 0.5);
            ok(mu_muon_momentum_many(context, MU_FORMAT_F32(), 128, MU_F32(), MU_F32(), 0, item, 1, 1, step(1), sum));
            assertFloats(momentum, 5);
            assertEquals(25, sum.get(ValueLayout.JAVA_DOUBLE, 0));
        });
        all.put("mu_muon_update_many", () -> {
            MemorySegment weights = floats(10);
            MemorySegment item = muonItem();
            mu_muon_item.direction(item, floats(1));
            mu_muon_item.weights(item, weights);
            mu_muon_item.decay(item, 0.5f);
            mu_muon_item.rate(item, 2);
            ok(mu_muon_update_many(context, MU_F32(), MU_F32(), item, 1, 1, step(1)));
            assertFloats(weights, 3);
        });
        all.put("mu_adamw_many", () -> {
            MemorySegment weights = floats(1);
            MemorySegment item = mu_adamw_item.allocate(arena);
            mu_adamw_item.weights(item, weights);
            mu_adamw_item.gradient(item, floats(3));
            mu_adamw_item.m(item, floats(0));
            mu_adamw_item.v(item, floats(0));
            mu_adamw_item.elements(item, 1);
            MemorySegment params = mu_adamw_item.params(item);
            mu_adamw_params.lr(params, 0.1);
            mu_adamw_params.beta1(params, 0.9);
            mu_adamw_params.beta2(params, 0.999);
            mu_adamw_params.eps(params, 1e-8);
            mu_adamw_params.bias_correction1(params, 0.1);
            mu_adamw_params.bias_correction2(params, 0.001);
            ok(mu_adamw_many(context, 128, MU_F32(), MU_F32(), MU_FORMAT_F32(), MU_FORMAT_F32(), item, 1, 1, step(1)));
            assertFloats(weights, 0.9f);
        });
    }

    private MemorySegment muonItem() {
        MemorySegment item = mu_muon_item.allocate(arena);
        mu_muon_item.elements(item, 1);
        return item;
    }

    /** What a sweep leaves that found nothing to clip or to refuse. */
    private MemorySegment step(double gradientScale) {
        MemorySegment step = mu_step.allocate(arena);
        mu_step.gradient_scale(step, gradientScale);
        mu_step.clip_norm(step, Double.POSITIVE_INFINITY);
        mu_step.clip(step, 1);
        mu_step.scale(step, gradientScale);
        mu_step.first_non_finite(step, -1);
        return step;
    }

    private void newtonSchulz(Map<String, Runnable> all) {
        all.put("mu_newton_schulz_begin", () -> {
            MemorySegment start = mu_newton_schulz_start.allocate(arena);
            mu_newton_schulz_start.a(start, 2);
            mu_newton_schulz_start.norm_factor(start, 1);
            mu_newton_schulz_start.epsilon(start, 1e-7);
            mu_newton_schulz_start.convention(start, MU_NORM_MAX_EPSILON());
            MemorySegment sums = arena.allocateFrom(ValueLayout.JAVA_DOUBLE, 25);
            MemorySegment coefficients = floats(9, 9, 9);
            MemorySegment x = floats(3, 4);
            ok(mu_newton_schulz_begin(context, start, x, MU_F32(), 2, 2, 1, sums, 1, coefficients, NULL));
            assertFloats(coefficients, 0.4f, 0, 0);
            assertFloats(x, 3, 4);
        });
        all.put("mu_symmetric_product", () -> {
            MemorySegment a = floats(1, 2);
            MemorySegment c = floats(0, 0, 0, 0);
            ok(mu_symmetric_product(
                    context, MU_F32(), 0, 2, 1, a, 1, 2, a, 1, 2, NULL, 2, 4, c, 2, 4, floats(1, 0, 1), 0, 1));
            assertFloats(c, 2, 2, 2, 5);
        });
        all.put("mu_panel_elements", () -> assertEquals(48 * 16, mu_panel_elements(1, 1)));
        all.put("mu_pack_panels", () -> {
            MemorySegment panels = arena.allocate(2 * 48 * 16, 4);
            ok(mu_pack_panels(context, 2, halves(1, 3), 2, 1, 2, panels, NULL, 0, 1));
            assertHalves(panels, 2, 6);
        });
        all.put("mu_multiply_panels", () -> {
            MemorySegment operand = arena.allocate(2 * 48 * 16, 4);
            ok(mu_pack_panels(context, 1, halves(1, 3), 2, 1, 2, operand, NULL, 0, 1));
            MemorySegment product = mu_panel_product.allocate(arena);
            MemorySegment c = halves(0);
            mu_panel_product.a(product, operand);
            mu_panel_product.b(product, operand);
            mu_panel_product.c_dense(product, c);
            mu_panel_product.c_ld(product, 1);
            mu_panel_product.rows(product, 1);
            mu_panel_product.cols(product, 1);
            mu_panel_product.depth(product, 2);
            mu_panel_product.c2(product, 0.5f);
            ok(mu_multiply_panels(context, product, 0, 1, 0, 1));
            assertHalves(c, 5);
        });
        all.put("mu_scale_many", () -> {
            MemorySegment x = floats(1, 2);
            ok(mu_scale_many(context, floats(2), 0, x, 2, x, 2, MU_F32(), 2, 1));
            assertFloats(x, 2, 4);
        });
    }

    private void norms(Map<String, Runnable> all) {
        all.put("mu_rms_norm", () -> {
            MemorySegment y = floats(0, 0);
            MemorySegment rstd = floats(0);
            ok(mu_rms_norm(context, MU_F32(), floats(1, 7), y, rstd, 1e-12f, 2, 0, 1));
            assertFloats(rstd, 0.2f);
            assertFloats(y, 0.2f, 1.4f);
        });
        all.put("mu_rms_norm_backward", () -> {
            MemorySegment dx = floats(0, 0);
            // y = (0.2, 1.4), mean(dy * y) = 0.1: dx = add + 0.2 * (dy - 0.1 y)
            ok(mu_rms_norm_backward(
                    context, MU_F32(), floats(1, 0), floats(1, 7), floats(0.2f), floats(5, 6), dx, 2, 0, 1));
            assertFloats(dx, 5.196f, 5.972f);
        });
        all.put("mu_rotary_norm", () -> {
            MemorySegment x = floats(3, 4);
            MemorySegment rstd = floats(0);
            ok(mu_rotary_norm(context, MU_F32(), x, rstd, floats(0, 1), 1e-12f, 1, 2, 1, 0, 1)); // a quarter turn
            float r = (float) (1 / Math.sqrt(12.5));
            assertFloats(rstd, r);
            assertFloats(x, -4 * r, 3 * r);
        });
        all.put("mu_rotary_norm_backward", () -> {
            MemorySegment dy = floats(0, 2);
            ok(mu_rotary_norm_backward(context, MU_F32(), floats(1, 0), floats(2), floats(0, 1), dy, 1, 2, 1, 0, 1));
            assertFloats(dy, 4, 0); // 2 * (dy - y * mean(dy * y)), turned back
        });
    }

    private void attention(Map<String, Runnable> all) {
        all.put("mu_softmax_causal", () -> {
            MemorySegment scores = floats(5, 9, 1, 1);
            MemorySegment lse = floats(0, 0);
            ok(mu_softmax_causal(context, scores, 2, 2, lse, 0, 0, 2, 0, 2));
            assertFloats(scores, 1, 0, 0.5f, 0.5f);
            assertFloats(lse, 10, (float) (2 + Math.log(2)));
        });
        all.put("mu_softmax_causal_backward", () -> {
            MemorySegment scores = floats(1, 1);
            MemorySegment d = floats(3, 1);
            float lse = (float) (2 + Math.log(2));
            ok(mu_softmax_causal_backward(context, scores, d, 2, 2, floats(lse), floats(2), 0, 1, 2, 0, 1));
            assertFloats(scores, 0.5f, 0.5f);
            assertFloats(d, 1, -1);
        });
        all.put("mu_head_dots", () -> {
            MemorySegment out = floats(0, 0);
            ok(mu_head_dots(context, MU_F32(), floats(1, 2, 3, 4), floats(5, 6, 7, 8), out, 2, 2, 1, 0, 1));
            assertFloats(out, 17, 53);
        });
        all.put("mu_attention", () -> {
            MemorySegment o = floats(new float[16]);
            MemorySegment lse = floats(0, 0);
            // keys of zeros: the second position sees the mean of both values
            ok(mu_attention(context, MU_F32(), ramp(16), floats(new float[16]), ramp(16), o, lse, 1, 1, 1, 8, 2, 0, 1));
            assertFloats(o, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 8, 9, 10, 11);
            assertFloats(lse, 0, (float) Math.log(2));
        });
        all.put("mu_attention_backward", () -> {
            MemorySegment dq = floats(new float[8]);
            MemorySegment dk = floats(new float[8]);
            MemorySegment dv = floats(new float[8]);
            // one position: its probability is 1, so that the gradient goes through the value alone
            ok(mu_attention_backward(
                    context,
                    MU_F32(),
                    floats(new float[8]),
                    floats(new float[8]),
                    ramp(8),
                    floats(0),
                    ramp(8),
                    floats(140),
                    dq,
                    dk,
                    dv,
                    1,
                    1,
                    1,
                    8,
                    1,
                    0,
                    1));
            assertFloats(dq, new float[8]);
            assertFloats(dk, new float[8]);
            assertFloats(dv, 0, 1, 2, 3, 4, 5, 6, 7);
        });
    }

    private void activations(Map<String, Runnable> all) {
        all.put("mu_relu2", () -> {
            MemorySegment a = floats(0, 0);
            ok(mu_relu2(context, MU_F32(), floats(3, -3), a, 0, 2));
            assertFloats(a, 9, 0);
        });
        all.put("mu_relu2_backward", () -> {
            MemorySegment u = floats(3, -3);
            MemorySegment a = floats(10, 10);
            ok(mu_relu2_backward(context, MU_F32(), u, a, 0, 2));
            assertFloats(u, 60, 0);
            assertFloats(a, 9, 0);
        });
        all.put("mu_swiglu", () -> {
            MemorySegment a = floats(9, 9);
            ok(mu_swiglu(context, MU_F32(), floats(0, 100), floats(5, 2), a, 0, 2));
            assertFloats(a, 0, 200);
        });
        all.put("mu_swiglu_backward", () -> {
            MemorySegment gate = floats(0);
            MemorySegment up = floats(5);
            MemorySegment a = floats(4);
            ok(mu_swiglu_backward(context, MU_F32(), gate, up, a, 0, 1));
            assertFloats(gate, 10); // da * up * (logistic(0) + 0)
            assertFloats(up, 0);
            assertFloats(a, 0);
        });
    }

    private void losses(Map<String, Runnable> all) {
        all.put("mu_cross_entropy", () -> {
            MemorySegment losses = arena.allocate(ValueLayout.JAVA_DOUBLE, 2);
            ok(mu_cross_entropy(context, MU_F32(), floats(0, 0), 0, ints(0, 1), losses, 1, 2, 0, 1));
            assertEquals(Math.log(2), losses.getAtIndex(ValueLayout.JAVA_DOUBLE, 1), 1e-6);
        });
        all.put("mu_cross_entropy_backward", () -> {
            MemorySegment losses = arena.allocate(ValueLayout.JAVA_DOUBLE);
            MemorySegment logits = floats(0, 0);
            ok(mu_cross_entropy_backward(context, MU_F32(), logits, 0, ints(1), losses, 0, 10, 2, 0, 1));
            assertEquals(Math.log(2), losses.get(ValueLayout.JAVA_DOUBLE, 0), 1e-6);
            assertFloats(logits, 5, -5);
        });
        all.put("mu_gather_rows", () -> {
            MemorySegment out = floats(0, 0);
            ok(mu_gather_rows(context, MU_F32(), floats(1, 2, 3, 4), ints(1), out, 2, 2, 0, 1));
            assertFloats(out, 3, 4);
        });
        all.put("mu_scatter_add_rows", () -> {
            MemorySegment table = floats(1, 2, 3, 4);
            ok(mu_scatter_add_rows(context, MU_F32(), floats(10, 20, 30, 40), ints(1, 1), 2, table, MU_F32(), 2, 0, 2));
            assertFloats(table, 1, 2, 43, 64);
        });
    }

    private static void ok(int status) {
        assertEquals(MU_OK(), status, () -> mu_last_error().getString(0));
    }

    private MemorySegment floats(float... values) {
        return arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
    }

    private MemorySegment halves(float... values) {
        MemorySegment halves = arena.allocate(ValueLayout.JAVA_SHORT, values.length);
        for (int i = 0; i < values.length; i++) {
            halves.setAtIndex(ValueLayout.JAVA_SHORT, i, Bf16.fromFloat(values[i]));
        }
        return halves;
    }

    private static void assertHalves(MemorySegment actual, float... expected) {
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], Bf16.toFloat(actual.getAtIndex(ValueLayout.JAVA_SHORT, i)), "element " + i);
        }
    }

    /** 0, 1, 2, ... */
    private MemorySegment ramp(int count) {
        MemorySegment values = arena.allocate(ValueLayout.JAVA_FLOAT, count);
        for (int i = 0; i < count; i++) {
            values.setAtIndex(ValueLayout.JAVA_FLOAT, i, i);
        }
        return values;
    }

    private MemorySegment ints(int... values) {
        return arena.allocateFrom(ValueLayout.JAVA_INT, values);
    }

    private static void assertFloats(MemorySegment actual, float... expected) {
        assertArrayEquals(expected, actual.toArray(ValueLayout.JAVA_FLOAT), 1e-5f);
    }
}
