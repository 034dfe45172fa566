package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Matrix products against plain sums in double. */
abstract class MatmulContract {
    private static final int OFFSET = 3;

    Device device;

    abstract Device open();

    @BeforeEach
    final void openDevice() {
        device = open();
    }

    @AfterEach
    final void closeDevice() {
        device.close();
        assertEquals(0, device.ledger().total());
    }

    static Stream<MatmulSpec> specifications() {
        List<long[]> extents = List.of(
                new long[] {1, 1, 1},
                new long[] {1, 7, 5},
                new long[] {5, 1, 3},
                new long[] {17, 33, 9},
                new long[] {64, 48, 80},
                new long[] {129, 65, 200});
        return Stream.of(ElementType.F32, ElementType.BF16)
                .flatMap(input -> Stream.of(ElementType.F32, ElementType.BF16)
                        .filter(output -> input == ElementType.BF16 || output == ElementType.F32)
                        .flatMap(output -> extents.stream().flatMap(e -> transposes(input, output, e))));
    }

    private static Stream<MatmulSpec> transposes(ElementType input, ElementType output, long[] e) {
        return Stream.of(0, 1, 2, 3).flatMap(bits -> {
            MatmulSpec dense = MatmulSpec.dense(input, output, (bits & 1) != 0, (bits & 2) != 0, e[0], e[1], e[2]);
            MatmulSpec strided = dense.leading(dense.lda() + 3, dense.ldb() + 5, dense.ldc() + 2);
            return output == ElementType.F32
                    ? Stream.of(dense, strided, strided.accumulating())
                    : Stream.of(dense, strided);
        });
    }

    @ParameterizedTest
    @MethodSource("specifications")
    void multiplies(MatmulSpec spec) {
        if (spec.aType() == ElementType.BF16 && device instanceof CpuDevice cpu && cpu.tier() != CpuTier.AVX512) {
            // Emulation may be there or not; what is promised is that it is not called fast, and a sentence.
            assertFalse(device.isFast(ElementType.BF16));
            try {
                device.matmul(spec);
            } catch (UnsupportedOperationException e) {
                assertTrue(e.getMessage().contains("tier " + cpu.tier()), e.getMessage());
                return;
            }
        }
        try (Operands operands = new Operands(spec, 42)) {
            double[] expected = operands.expected();

            operands.run(device.matmul(spec), 0);

            operands.assertNear(expected);
        }
    }

    @Test
    void givesTheSameProductForTheSameSpecification() {
        assertSame(
                device.matmul(MatmulSpec.f32(false, true, 8, 9, 10)),
                device.matmul(MatmulSpec.f32(false, true, 8, 9, 10)));
    }

    @ParameterizedTest
    @MethodSource("types")
    void bitsDependOnNeitherWorkerNorThreadNorAddress(ElementType type) throws InterruptedException {
        assumeTrue(type == ElementType.F32 || device.isFast(type), type + " is not fast on " + device.describe());
        MatmulSpec spec = MatmulSpec.dense(type, ElementType.F32, false, true, 150, 190, 333);
        Matmul product = device.matmul(spec);
        try (Operands first = new Operands(spec, 1);
                Operands second = new Operands(spec, 1, 8 + OFFSET)) {
            first.run(product, 0);
            for (int worker = 0; worker < device.workers().count(); worker++) {
                second.clear();
                int number = worker;
                AtomicReference<Throwable> failure = new AtomicReference<>();
                Thread thread = new Thread(() -> second.run(product, number));
                thread.setUncaughtExceptionHandler((t, e) -> failure.set(e));
                thread.start();
                thread.join();
                assertEquals(null, failure.get());
                assertArrayEquals(first.result(), second.result(), "worker " + worker);
            }
        }
    }

    static Stream<ElementType> types() {
        return Stream.of(ElementType.F32, ElementType.BF16);
    }

    @Test
    void workersMultiplyAtTheSameTime() {
        MatmulSpec spec = MatmulSpec.f32(true, false, 96, 64, 120);
        Matmul product = device.matmul(spec);
        int tasks = 40;
        Operands[] operands = new Operands[tasks];
        for (int i = 0; i < tasks; i++) {
            operands[i] = new Operands(spec, i);
        }

        device.workers().run(tasks, (task, worker) -> operands[task].run(product, worker));

        for (Operands each : operands) {
            each.assertNear(each.expected());
            each.close();
        }
    }

    @Test
    void refusesMatricesThatDoNotLieWithinTheirSegments() {
        Matmul product = device.matmul(MatmulSpec.f32(false, false, 4, 5, 6));
        try (Tensor first = device.allocate(Purpose.DATA, "first", ElementType.F32, Shape.of(4, 6));
                Tensor second = device.allocate(Purpose.DATA, "second", ElementType.F32, Shape.of(6, 5));
                Tensor result = device.allocate(Purpose.DATA, "result", ElementType.F32, Shape.of(4, 5))) {
            MemorySegment a = first.segment();
            MemorySegment b = second.segment();
            MemorySegment c = result.segment();
            product.run(0, a, 0, b, 0, c, 0);

            refused("'a'", () -> product.run(0, a, 1, b, 0, c, 0));
            refused("'b'", () -> product.run(0, a, 0, b, 1, c, 0));
            refused("'c'", () -> product.run(0, a, 0, b, 0, c, 1));
            refused("'c'", () -> product.run(0, a, 0, b, 0, c, Long.MAX_VALUE));
            refused("'a'", () -> product.run(0, a, -1, b, 0, c, 0));
            refused("'a'", () -> product.run(0, device.memory().slice(a, 1, 95), 0, b, 0, c, 0));
            refused("'c'", () -> product.run(0, a, 0, b, 0, c.asReadOnly(), 0));
            refused("'b'", () -> product.run(0, a, 0, MemorySegment.ofArray(new float[30]), 0, c, 0));
            refused("worker", () -> product.run(device.workers().count(), a, 0, b, 0, c, 0));
        }
    }

    private static void refused(String thing, org.junit.jupiter.api.function.Executable call) {
        IllegalArgumentException refusal = assertThrows(IllegalArgumentException.class, call);
        assertTrue(refusal.getMessage().contains(thing), refusal.getMessage());
    }

    /** A, B and C of a specification, off by a few elements from the beginning of their segments. */
    final class Operands implements AutoCloseable {
        private final MatmulSpec spec;
        private final int offset;
        private final Tensor a;
        private final Tensor b;
        private final Tensor c;

        Operands(MatmulSpec spec, long seed) {
            this(spec, seed, OFFSET);
        }

        Operands(MatmulSpec spec, long seed, int offset) {
            this.spec = spec;
            this.offset = offset;
            Random random = new Random(seed);
            a = filled(spec.aType(), (spec.transA() ? spec.k() : spec.m()) * spec.lda(), random);
            b = filled(spec.bType(), (spec.transB() ? spec.n() : spec.k()) * spec.ldb(), random);
            c = filled(spec.cType(), spec.m() * spec.ldc(), random);
        }

        private Tensor filled(ElementType type, long elements, Random random) {
            Tensor tensor = device.allocate(Purpose.DATA, "operand", type, Shape.of(elements + offset));
            float[] values = new float[(int) tensor.elements()];
            for (int i = 0; i < values.length; i++) {
                values[i] = i < offset ? 7 : random.nextFloat(-1, 1);
            }
            tensor.copyFrom(values);
            return tensor;
        }

        void run(Matmul product, int worker) {
            product.run(worker, a.segment(), offset, b.segment(), offset, c.segment(), offset);
        }

        void clear() {
            float[] cleared = new float[(int) c.elements()];
            Arrays.fill(cleared, 0, offset, 7); // what lies before the matrix stays
            c.copyFrom(cleared);
        }

        float[] result() {
            float[] all = c.toFloatArray();
            return Arrays.copyOfRange(all, offset, all.length);
        }

        /** All of C's segment, what lies between the rows included. */
        double[] expected() {
            float[] left = a.toFloatArray();
            float[] right = b.toFloatArray();
            float[] before = c.toFloatArray();
            double[] expected = new double[before.length];
            for (int i = 0; i < expected.length; i++) {
                expected[i] = before[i];
            }
            for (long i = 0; i < spec.m(); i++) {
                for (long j = 0; j < spec.n(); j++) {
                    int at = (int) (offset + i * spec.ldc() + j);
                    double sum = spec.accumulate() ? expected[at] : 0;
                    for (long l = 0; l < spec.k(); l++) {
                        long atA = offset + (spec.transA() ? l * spec.lda() + i : i * spec.lda() + l);
                        long atB = offset + (spec.transB() ? j * spec.ldb() + l : l * spec.ldb() + j);
                        sum += (double) left[(int) atA] * right[(int) atB];
                    }
                    expected[at] = sum;
                }
            }
            return expected;
        }

        void assertNear(double[] expected) {
            double tolerance = 1e-6 * (spec.k() + 2);
            float[] actual = c.toFloatArray();
            for (int i = 0; i < expected.length; i++) {
                double rounding =
                        spec.cType() == ElementType.BF16 ? Math.abs(expected[i]) / 256 : Math.ulp((float) expected[i]);
                assertEquals(expected[i], actual[i], tolerance + rounding, spec + " element " + i);
            }
        }

        @Override
        public void close() {
            a.close();
            b.close();
            c.close();
        }
    }
}
