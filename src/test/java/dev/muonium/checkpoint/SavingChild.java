package dev.muonium.checkpoint;

import java.nio.file.Path;

/** Saves one checkpoint after another until it is killed, and says so on its standard output; for {@link CheckpointKillTest}. */
final class SavingChild {
    private SavingChild() {}

    /** @param arguments the folder, and the step of the first checkpoint */
    public static void main(String[] arguments) {
        Path folder = Path.of(arguments[0]);
        try (CheckpointFolder opened = CheckpointFolder.open(folder, 2)) {
            for (long step = Long.parseLong(arguments[1]); ; step++) {
                // Now and then a step is saved twice, which replaces the first.
                opened.save(step, Samples.values(step), Samples.parts(step));
                if (step % 3 == 0) {
                    opened.save(step, Samples.values(step), Samples.parts(step));
                }
                System.out.println(step);
                System.out.flush();
            }
        }
    }
}
