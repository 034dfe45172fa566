package dev.muonium.ortho;

import dev.muonium.device.Device;
import org.junit.jupiter.api.Tag;

/** Polar factors on a CPU in the way of a GPU: in launches over several matrices. */
@Tag("tier")
class StackedPolarTest extends CpuPolarFactorContract {
    @Override
    protected PolarFactor polar(Device on, NewtonSchulz spec, long rows, long cols) {
        return new PolarFactor(
                on, rows, cols, new StackedPolar(spec, on, new SquareProducts.HalfWork(), rows, cols, 1));
    }
}
