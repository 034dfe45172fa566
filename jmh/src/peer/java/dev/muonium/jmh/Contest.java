package dev.muonium.jmh;

import dev.muonium.memory.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;

/** Measures one row: checks that both sides compute the same, finds the peer's fastest way, and lets the sides take turns. */
final class Contest {
    private static final int FEWEST_PAIRS = 3;
    private static final int MOST_PAIRS = 25;
    /** A turn of small matrices is as many steps as take the peer this long. */
    private static final double TURN_NANOS = 150e6;

    /** Of as many tries of a way the best counts. */
    private static final int CHOICES = 3;

    private static final double KEPT = 1 - 0.02 * 0.1;
    /** Of the updates, relative: what bf16 differs by is below 0.05, what another computation does is above 0.5. */
    private static final double SAME_COMPUTATION = 0.1;

    private static final double SAME_PURPOSE = 0.5;

    private final Child muonium;
    private final Child torch;
    private final List<String> torchWays;
    private final String kellers;

    /** @param torchWays those of the peer's ways that are worth measuring here */
    Contest(Child muonium, Child torch, List<String> torchWays) throws IOException {
        this.muonium = muonium;
        this.torch = torch;
        this.torchWays = torchWays;
        List<String> ways = List.of(muonium.ask("ways").split(" "));
        this.kellers = ways.contains(MuoniumSide.KELLER) ? MuoniumSide.KELLER : MuoniumSide.DEFAULT;
    }

    PeerRow measure(String row, int threads, double seconds) throws IOException {
        long deadline = System.nanoTime() + (long) (seconds * 1e9);
        MatrixSet set = PeerOptions.set(row);
        String name = row.split(":", 2)[0];
        muonium.ask("load " + name + " " + set.layers());
        torch.ask("load " + name + " " + set.layers());
        double difference = difference(row, set, kellers, SAME_COMPUTATION);
        double defaultDifference = kellers.equals(MuoniumSide.DEFAULT)
                ? difference
                : difference(row, set, MuoniumSide.DEFAULT, SAME_PURPOSE);
        String peer = fastest(set, threads);
        // By processor time, which is the same on a busy machine.
        int times =
                (int) Math.max(1, TURN_NANOS * threads / torch.step(peer, 1, 0).processorNanos());
        List<Round> rounds = turns(peer, times, deadline);
        return row(row, set, threads, peer, rounds, difference, defaultDifference);
    }

    /** The peer's way that takes one layer through in the least time. */
    private String fastest(MatrixSet set, int threads) throws IOException {
        String best = torchWays.getFirst();
        long least = Long.MAX_VALUE;
        for (String way : torchWays) {
            int matrices = set.shapes().size();
            torch.step(way, 1, matrices);
            long nanos = Long.MAX_VALUE;
            for (int i = 0; i < CHOICES; i++) {
                Turn turn = torch.step(way, 1, matrices);
                // Waiting for other threads is part of a way's time, waiting for other programs is not.
                nanos = Math.min(nanos, threads == 1 ? turn.processorNanos() : turn.nanos());
            }
            if (nanos < least) {
                least = nanos;
                best = way;
            }
        }
        return best;
    }

    /** Rounds with the peer between the two policies, forwards and backwards by turns; a side that has one policy takes one turn. */
    private List<Round> turns(String peer, int times, long deadline) throws IOException {
        boolean one = kellers.equals(MuoniumSide.DEFAULT);
        muonium.step(MuoniumSide.DEFAULT, times, 0);
        if (!one) {
            muonium.step(kellers, times, 0);
        }
        List<Round> rounds = new ArrayList<>();
        while (rounds.size() < FEWEST_PAIRS || (rounds.size() < MOST_PAIRS && System.nanoTime() < deadline)) {
            if (rounds.size() % 2 == 0) {
                Turn standard = muonium.step(MuoniumSide.DEFAULT, times, 0);
                Turn theirs = torch.step(peer, times, 0);
                rounds.add(new Round(theirs, standard, one ? standard : muonium.step(kellers, times, 0)));
            } else {
                Turn keller = one ? null : muonium.step(kellers, times, 0);
                Turn theirs = torch.step(peer, times, 0);
                Turn standard = muonium.step(MuoniumSide.DEFAULT, times, 0);
                rounds.add(new Round(theirs, standard, keller == null ? standard : keller));
            }
        }
        return rounds;
    }

    private PeerRow row(
            String row,
            MatrixSet set,
            int threads,
            String peer,
            List<Round> rounds,
            double difference,
            double defaultDifference) {
        long parameters =
                set.layers() * set.shapes().stream().mapToLong(Shape::elements).sum();
        return new PeerRow(
                PeerOptions.label(row),
                parameters,
                threads,
                peer,
                rounds.size(),
                of(rounds, round -> round.peer().millis()),
                of(rounds, round -> round.standard().millis()),
                of(rounds, round -> ratio(round.peer(), round.standard(), Turn::nanos)),
                of(rounds, round -> ratio(round.peer(), round.standard(), Turn::processorNanos)),
                of(rounds, round -> round.keller().millis()),
                of(rounds, round -> ratio(round.peer(), round.keller(), Turn::nanos)),
                of(rounds, round -> ratio(round.peer(), round.keller(), Turn::processorNanos)),
                difference,
                defaultDifference);
    }

    private static Quartiles of(List<Round> rounds, ToDoubleFunction<Round> figure) {
        return Quartiles.of(rounds.stream().mapToDouble(figure).toArray());
    }

    private static double ratio(Turn theirs, Turn ours, ToLongFunction<Turn> time) {
        return (double) time.applyAsLong(theirs) / time.applyAsLong(ours);
    }

    /** The relative difference of both sides' first updates of one layer, decay aside. */
    private double difference(String row, MatrixSet set, String way, double bound) throws IOException {
        muonium.ask("reset " + way);
        torch.ask("reset " + torchWays.getFirst());
        muonium.step(way, 1, 0);
        torch.step(torchWays.getFirst(), 1, set.shapes().size());
        double relative = compare(set);
        if (!(relative <= bound)) {
            throw new IllegalStateException(String.format(
                    Locale.ROOT,
                    "the updates of %s differ by %.3f (way %s), which is more than %.2f: the two sides do not compute"
                            + " the same, so their times must not be compared",
                    PeerOptions.label(row),
                    relative,
                    way,
                    bound));
        }
        return relative;
    }

    private double compare(MatrixSet set) throws IOException {
        Path ours = Files.createTempFile("peer-muonium", ".f32");
        Path theirs = Files.createTempFile("peer-torch", ".f32");
        try (Arena arena = Arena.ofConfined()) {
            muonium.ask("weights " + ours + " " + set.shapes().size());
            torch.ask("weights " + theirs + " " + set.shapes().size());
            MemorySegment u = map(ours, arena);
            MemorySegment v = map(theirs, arena);
            double apart = 0;
            double size = 0;
            long begin = 0;
            for (Shape shape : set.shapes()) {
                MemorySegment before = arena.allocate(shape.elements() * Float.BYTES, Float.BYTES);
                Noise.fill(before);
                for (long i = 0; i < shape.elements(); i++) {
                    float there = v.getAtIndex(ValueLayout.JAVA_FLOAT, begin + i);
                    double difference = (double) u.getAtIndex(ValueLayout.JAVA_FLOAT, begin + i) - there;
                    double update = there - KEPT * before.getAtIndex(ValueLayout.JAVA_FLOAT, i);
                    apart += difference * difference;
                    size += update * update;
                }
                begin += shape.elements();
            }
            return Math.sqrt(apart / size);
        } finally {
            Files.delete(ours);
            Files.delete(theirs);
        }
    }

    private static MemorySegment map(Path file, Arena arena) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        }
    }
}
