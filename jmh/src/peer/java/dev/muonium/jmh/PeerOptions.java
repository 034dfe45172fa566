package dev.muonium.jmh;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * What {@code jmh/peer.sh} was asked for.
 *
 * @param minutes that all may take
 * @param rows names of sets as {@link MatrixSet#named} knows them, with {@code :LAYERS} where not all layers are to be measured
 * @param threads numbers of threads
 * @param tier of the processor's instructions that both sides are held to, or empty for all that it has
 * @param cpus one of each core that the process may use
 * @param output where the figures go
 */
record PeerOptions(
        double minutes, List<String> rows, List<Integer> threads, String tier, List<Integer> cpus, Path output) {
    static PeerOptions parse(String[] args) {
        double minutes = 15;
        List<String> rows = List.of(
                "768x768",
                "1024x1024",
                "2048x2048",
                "768x3072",
                "3072x768",
                "1024x4096",
                "gpt2-small",
                "test-8bit",
                "d20-e3-full:6");
        List<Integer> threads = List.of(1, 2);
        String tier = "";
        List<Integer> cpus = new ArrayList<>();
        Path output = Path.of("peer.csv");
        if (args.length % 2 != 0) {
            throw new IllegalArgumentException(
                    "every option has a value, but '" + args[args.length - 1] + "' has none");
        }
        for (int i = 0; i < args.length; i += 2) {
            String value = args[i + 1];
            switch (args[i]) {
                case "--minutes" -> minutes = Double.parseDouble(value);
                case "--rows" -> rows = List.of(value.split(","));
                case "--threads" -> threads = integers(value);
                case "--tier" -> tier = tier(value);
                case "--cpus" -> cpus = integers(value);
                case "--output" -> output = Path.of(value);
                default ->
                    throw new IllegalArgumentException("there is no option '" + args[i]
                            + "'; use --minutes, --rows, --threads, --tier or --output");
            }
        }
        for (int count : threads) {
            if (count < 1 || count > cpus.size()) {
                throw new IllegalArgumentException(
                        "--threads " + count + " is not possible: this process may use " + cpus.size() + " cores");
            }
        }
        rows.forEach(PeerOptions::set);
        return new PeerOptions(minutes, rows, threads, tier, cpus, output);
    }

    private static List<Integer> integers(String list) {
        return Stream.of(list.split(",")).map(Integer::valueOf).toList();
    }

    private static String tier(String value) {
        if (!Arrays.asList("avx2", "").contains(value)) {
            throw new IllegalArgumentException("there is no --tier '" + value + "'; use avx2, or leave it out");
        }
        return value;
    }

    /** The set of a row, with as many of its layers as are to be measured. */
    static MatrixSet set(String row) {
        String[] parts = row.split(":", 2);
        return MatrixSet.named(parts[0]).withLayers(parts.length == 1 ? 0 : Integer.parseInt(parts[1]));
    }

    /** What a row is called in the table. */
    static String label(String row) {
        String name = row.split(":", 2)[0];
        int measured = set(row).layers();
        int all = MatrixSet.named(name).layers();
        String title = name.equals("gpt2-small") ? "GPT set" : name.replace("x", "×");
        return measured == all ? title : title + ", " + measured + " of " + all + " layers";
    }
}
