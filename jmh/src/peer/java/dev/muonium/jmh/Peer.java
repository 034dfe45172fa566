package dev.muonium.jmh;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Muonium's INT8 Muon step beside {@code torch.optim.Muon} in libtorch. Each side is a process of its own, held to the same cores,
 * and they take turns: two pools of threads in one process would disturb each other.
 */
final class Peer {
    private static final Pattern IMPLEMENTATION =
            Pattern.compile("onednn_verbose.*,exec,cpu,(?:matmul|inner_product),([^,]+),.*bf16.*");
    /** A way of the peer that takes this much longer than its fastest is not measured on the real matrices. */
    private static final double HOPELESS = 3;

    /** The property that names the folder into which JavaCPP unpacks its libraries. */
    private static final String CACHE = "org.bytedeco.javacpp.cachedir";

    private static final String PROBE = "512x512";

    private final PeerOptions options;
    private final List<String> machine = new ArrayList<>();
    private final List<PeerRow> rows = new ArrayList<>();

    private Peer(PeerOptions options) {
        this.options = options;
    }

    public static void main(String[] args) throws IOException {
        try {
            new Peer(PeerOptions.parse(args)).run();
        } catch (IllegalArgumentException | IllegalStateException e) {
            System.err.println("jmh/peer.sh: " + e.getMessage());
            System.exit(1);
        }
    }

    private void run() throws IOException {
        say(Processor.name() + ", " + options.cpus().size() + " cores, "
                + (options.tier().isEmpty() ? "all instructions" : "both sides held to " + options.tier()) + ", JDK "
                + Runtime.version());
        say("libtorch's bf16 products: " + products());
        boolean headed = false;
        for (int threads : options.threads()) {
            try (Child muonium = muonium(threads);
                    Child torch = torch(threads, Map.of())) {
                say(muonium.ask("describe"));
                say(torch.ask("describe"));
                Contest contest = new Contest(muonium, torch, torchWays(torch));
                if (!headed) {
                    System.out.println("\n" + PeerReport.header());
                    headed = true;
                }
                double seconds = options.minutes()
                        * 60
                        / options.rows().size()
                        / options.threads().size();
                for (String name : options.rows()) {
                    PeerRow row = contest.measure(name, threads, seconds);
                    System.out.println(PeerReport.line(row));
                    rows.add(row);
                    PeerReport.write(options.output(), machine, rows);
                }
            }
        }
        System.out.println("\n"
                + "ratio: the peer's time over Muonium's, median (and quartiles) of pairs of turns; by processor"
                + " time: the same of the time that the process was running, which others' load does not change."
                + " Figures: "
                + options.output());
        System.out.println(PeerReport.conclusion(rows));
    }

    private void say(String line) {
        machine.add(line);
        System.out.println(line);
    }

    private Child muonium(int threads) throws IOException {
        List<String> simd = options.tier().isEmpty() ? List.of() : List.of("-Dmuonium.simd=" + options.tier());
        return new Child(MuoniumSide.class, options.cpus().subList(0, threads), simd, Map.of());
    }

    private Child torch(int threads, Map<String, String> more) throws IOException {
        Map<String, String> environment = new HashMap<>(more);
        environment.put("OMP_NUM_THREADS", Integer.toString(threads));
        environment.put("OPENBLAS_NUM_THREADS", Integer.toString(threads));
        // Python's main thread allocates from the heap that glibc keeps; a JVM's threads would map and unmap each large
        // tensor.
        environment.put("MALLOC_ARENA_MAX", "1");
        environment.put("MALLOC_MMAP_THRESHOLD_", "33554432");
        environment.put("MALLOC_TRIM_THRESHOLD_", "4294967296");
        if (options.tier().equals("avx2")) {
            environment.put("ATEN_CPU_CAPABILITY", "avx2");
            environment.put("ONEDNN_MAX_CPU_ISA", "AVX2");
            environment.put("MKL_ENABLE_INSTRUCTIONS", "AVX2");
            environment.put("OPENBLAS_CORETYPE", "Haswell");
        }
        String cache = System.getProperty(CACHE);
        List<String> unpackedTo = cache == null ? List.of() : List.of("-D" + CACHE + "=" + cache);
        return new Child(TorchSide.class, options.cpus().subList(0, threads), unpackedTo, environment);
    }

    /** The kernels that oneDNN inside libtorch chooses for the bf16 products: those show whether the peer runs as fast as it can. */
    private String products() throws IOException {
        try (Child torch = torch(1, Map.of("ONEDNN_VERBOSE", "1"))) {
            torch.ask("load " + PROBE + " 1");
            torch.step(TorchMuon.Way.BF16.name(), 1, 0);
            List<String> kernels = torch.chatter().stream()
                    .map(IMPLEMENTATION::matcher)
                    .filter(Matcher::matches)
                    .map(matcher -> matcher.group(1))
                    .distinct()
                    .toList();
            return kernels.isEmpty() ? "not oneDNN's" : String.join(", ", kernels);
        } catch (Child.Refusal e) {
            return e.getMessage();
        }
    }

    private List<String> torchWays(Child torch) throws IOException {
        Map<String, Long> nanos = new HashMap<>();
        torch.ask("load " + PROBE + " 1");
        for (String way : torch.ask("ways").split(" ")) {
            try {
                torch.step(way, 1, 0);
                nanos.put(
                        way,
                        Math.min(
                                torch.step(way, 1, 0).processorNanos(),
                                torch.step(way, 1, 0).processorNanos()));
            } catch (Child.Refusal e) {
                say(e.getMessage());
            }
        }
        long least = nanos.values().stream().min(Long::compare).orElseThrow();
        List<String> kept = new ArrayList<>();
        for (TorchMuon.Way way : TorchMuon.Way.values()) {
            Long time = nanos.get(way.name());
            if (time != null) {
                boolean worth = time <= HOPELESS * least;
                say(String.format(
                        Locale.ROOT,
                        "libtorch, %s on %s: %.1f ms of processor time%s",
                        way,
                        PROBE,
                        time / 1e6,
                        worth ? "" : ", left out"));
                if (worth) {
                    kept.add(way.name());
                }
            }
        }
        return kept;
    }
}
