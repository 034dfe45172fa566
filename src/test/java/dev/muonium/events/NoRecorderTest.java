package dev.muonium.events;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.muonium.ChildJava;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.Muon;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.Parameter;
import dev.muonium.optim.ParameterKind;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A JVM without the module jdk.jfr, as jlink makes one for who does not ask for it, with Muonium on its class path. */
class NoRecorderTest {
    @Test
    void stepsAreTakenWithoutEvents() throws IOException, InterruptedException {
        List<String> command = ChildJava.command(
                Child.class,
                List.of(
                        "--enable-native-access=ALL-UNNAMED",
                        "--limit-modules",
                        "java.base,java.desktop,java.logging,java.management,java.naming,java.xml,jdk.unsupported"));
        Process child = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();

        String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

        assertEquals(0, child.waitFor());
        assertEquals("recorder false, steps 2", said.strip());
    }

    /** Takes steps and says how many. */
    static final class Child {
        private Child() {}

        public static void main(String[] args) {
            try (Device device = Device.cpu(1);
                    Tensor w = device.allocate(Purpose.WEIGHTS, "w", ElementType.F32, Shape.of(40, 50));
                    Tensor g = device.allocate(Purpose.GRADIENTS, "w", ElementType.F32, Shape.of(40, 50));
                    Optimizer optimizer =
                            Optimizer.builder(device).group(Muon.defaults()).build()) {
                optimizer.add(Parameter.of(ParameterKind.MATRIX, w, g));
                g.setFloat(3, 1);
                optimizer.step();
                optimizer.step();
                System.out.println("recorder "
                        + ModuleLayer.boot().findModule("jdk.jfr").isPresent() + ", steps " + optimizer.steps());
            }
        }
    }
}
