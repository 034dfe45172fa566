package dev.muonium.jmh;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * The process of a side: reads a command per line and answers each with a line that begins with {@link #ANSWER} or {@link #FAILURE}.
 * While it waits for a command, it is blocked in a read and leaves the processor to the other side.
 */
final class SideProcess {
    static final String ANSWER = "= ";
    static final String FAILURE = "! ";

    private final ProcessorClock processorClock = new ProcessorClock();
    private final Side side;

    private SideProcess(Side side) {
        this.side = side;
    }

    /** Serves standard input until it ends; all that the {@code main} of a side does. */
    static void serve(Side side) throws IOException {
        new SideProcess(side).answerAll(new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)));
    }

    private void answerAll(BufferedReader commands) throws IOException {
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            System.out.println(answer(line.split(" ")));
            System.out.flush();
        }
    }

    /** A side may refuse a way, as libtorch does with bf16 on some processors: the other side goes on without it. */
    private String answer(String[] command) {
        try {
            return ANSWER + carryOut(command);
        } catch (IOException | RuntimeException e) {
            return FAILURE + String.valueOf(e.getMessage()).lines().findFirst().orElse(e.toString());
        }
    }

    private String carryOut(String[] command) throws IOException {
        switch (command[0]) {
            case "describe":
                return side.describe();
            case "ways":
                return String.join(" ", side.ways());
            case "load":
                side.load(MatrixSet.named(command[1]).withLayers(Integer.parseInt(command[2])));
                return "";
            case "reset":
                side.reset(command[1]);
                return "";
            case "step":
                return step(command[1], Integer.parseInt(command[2]), Integer.parseInt(command[3]))
                        .toString();
            case "weights":
                write(Path.of(command[1]), Integer.parseInt(command[2]));
                return "";
            default:
                throw new IllegalArgumentException("there is no command '" + command[0] + "'");
        }
    }

    /** One step, the mean of {@code times}; {@code matrices} 0 stands for all. */
    private Turn step(String way, int times, int matrices) {
        int count = matrices == 0 ? side.matrices() : matrices;
        long processor = processorClock.nanos();
        long begin = System.nanoTime();
        for (int i = 0; i < times; i++) {
            side.step(way, count);
        }
        long nanos = System.nanoTime() - begin;
        return new Turn(nanos / times, (processorClock.nanos() - processor) / times);
    }

    private void write(Path file, int matrices) throws IOException {
        try (FileChannel channel = FileChannel.open(
                file, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            for (int i = 0; i < matrices; i++) {
                MemorySegment weights = side.weights(i);
                var bytes = weights.asByteBuffer();
                while (bytes.hasRemaining()) {
                    channel.write(bytes);
                }
            }
        }
    }
}
