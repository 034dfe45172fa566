package dev.muonium.checkpoint;

import dev.muonium.checkpoint.ForeignFiles.Found;
import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.optim.StateTensor;
import dev.muonium.quant.BlockValues;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/** An array of state in another framework's file: whose elements can be read one by one, and where it lies if it needs no change. */
interface ForeignArray {
    /** What it is called in messages. */
    String what();

    float at(long i);

    /** The same array as {@code target} keeps it, where the file's bytes are that; null if they have to be made. */
    @Nullable
    StateTensor asIs(StateTensor target);

    /** FP32 or BF16 values. */
    record Values(Found found) implements ForeignArray {
        private static final ValueLayout.OfFloat FLOAT =
                ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final ValueLayout.OfShort SHORT =
                ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

        @Override
        public String what() {
            return found.what();
        }

        @Override
        public float at(long i) {
            MemorySegment data = found.tensor().data();
            return found.tensor().type() == StoredType.F32
                    ? data.get(FLOAT, i * Float.BYTES)
                    : Float.intBitsToFloat(data.get(SHORT, i * Short.BYTES) << Short.SIZE);
        }

        @Override
        public @Nullable StateTensor asIs(StateTensor target) {
            boolean same = target.format() == BlockFormat.F32 && found.tensor().type() == StoredType.F32;
            return same
                    ? new StateTensor(
                            target.name(),
                            target.format(),
                            target.block(),
                            target.elements(),
                            found.tensor().data(),
                            null)
                    : null;
        }
    }

    /** Codes of a dynamic map that is ours. */
    record Codes(Found codes, Found scales, BlockFormat format, int block, BlockValues values) implements ForeignArray {
        static Codes of(Device device, Found codes, Found scales, BlockFormat format, int block) {
            return new Codes(
                    codes,
                    scales,
                    format,
                    block,
                    new BlockValues(
                            device,
                            format,
                            block,
                            codes.tensor().data(),
                            scales.tensor().data()));
        }

        @Override
        public String what() {
            return codes.what();
        }

        @Override
        public float at(long i) {
            return values.at(i);
        }

        @Override
        public @Nullable StateTensor asIs(StateTensor target) {
            // One block is one block, whatever size the two give it.
            boolean sameBlocks =
                    target.block() == block || (scales.tensor().elements() == 1 && target.elements() <= target.block());
            return target.format() == format && sameBlocks
                    ? new StateTensor(
                            target.name(),
                            format,
                            target.block(),
                            target.elements(),
                            codes.tensor().data(),
                            scales.tensor().data())
                    : null;
        }
    }
}
