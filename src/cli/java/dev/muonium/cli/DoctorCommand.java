package dev.muonium.cli;

import dev.muonium.MuoniumException;
import dev.muonium.cli.report.Json;
import dev.muonium.device.CpuDevice;
import dev.muonium.device.CpuTier;
import dev.muonium.device.CudaAvailability;
import dev.muonium.device.CudaProbe;
import dev.muonium.device.DeviceReport;
import dev.muonium.device.Fp8Support;
import dev.muonium.device.GpuInfo;
import dev.muonium.device.LibraryFinding;
import dev.muonium.device.LibraryInfo;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code muonium doctor}. */
@Command(
        name = "doctor",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        description = {
            "Say what this machine offers: devices, native libraries, processor, threads, JVM.",
            "Exit code 3 if the CPU device cannot be used, with the reason."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  muonium doctor",
            "  muonium doctor --json",
            "  MUONIUM_JAVA_OPTS=-Dmuonium.simd=avx2 muonium doctor"
        })
final class DoctorCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Option(names = "--json", description = "Print JSON instead of text.")
    private boolean json;

    /**
     * What there is.
     *
     * @param cpuProblem why the CPU device cannot be used; null if it can
     * @param cpu null if it cannot be used
     * @param cuda the GPUs, or why there are none, and what was found of the libraries that they need
     */
    record Findings(
            String version,
            String java,
            String javaHome,
            List<String> jvmFlags,
            String system,
            int processors,
            @Nullable String cpuProblem,
            @Nullable DeviceReport cpu,
            CudaAvailability cuda) {}

    @Override
    public Integer call() {
        Findings findings = examine();
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(Json.toText(findings));
        } else {
            print(findings, out);
        }
        out.flush();
        return findings.cpu() == null ? ExitCode.UNAVAILABLE : ExitCode.OK;
    }

    private static Findings examine() {
        @Nullable String problem = null;
        @Nullable DeviceReport cpu = null;
        try (CpuDevice device = CpuDevice.builder().open()) {
            cpu = device.report();
        } catch (MuoniumException | IllegalArgumentException e) {
            problem = String.valueOf(e.getMessage());
        }
        CudaAvailability cuda = CudaProbe.probe();
        return new Findings(
                Version.number(),
                System.getProperty("java.vm.name") + " " + Runtime.version(),
                System.getProperty("java.home"),
                JvmOptions.own(),
                System.getProperty("os.name") + " " + System.getProperty("os.version") + " "
                        + System.getProperty("os.arch"),
                Runtime.getRuntime().availableProcessors(),
                problem,
                cpu,
                cuda);
    }

    private static void print(Findings findings, PrintWriter out) {
        line(out, "Muonium", findings.version());
        line(out, "System", findings.system() + ", " + findings.processors() + " processors for this JVM");
        line(out, "Java", findings.java());
        line(out, "", findings.javaHome());
        line(out, "JVM options", String.join(" ", findings.jvmFlags()));
        DeviceReport cpu = findings.cpu();
        if (cpu == null) {
            line(out, "CPU device", "not available: " + findings.cpuProblem());
        } else {
            line(out, "CPU device", "available");
            line(out, "  processor", cpu.processor().isEmpty() ? "does not tell its name" : cpu.processor());
            line(
                    out,
                    "  tier",
                    cpu.tier() + " (this processor can run "
                            + Arrays.stream(CpuTier.values())
                                    .filter(tier -> tier.compareTo(cpu.bestTier()) <= 0)
                                    .map(CpuTier::toString)
                                    .collect(Collectors.joining(", "))
                            + "; -D" + CpuTier.PROPERTY + " chooses)");
            line(out, "  bf16", cpu.nativeBf16() ? "multiplied natively" : "not multiplied natively: FP32 is used");
            line(out, "  threads", Integer.toString(cpu.threads()));
            String label = "  libraries";
            for (LibraryInfo library : cpu.libraries()) {
                line(out, label, library.name() + " " + library.version());
                line(out, "", "  " + library.path());
                label = "";
            }
        }
        CudaAvailability cuda = findings.cuda();
        line(out, "CUDA device", cuda.available() ? "available" : "not available: " + cuda.reason());
        for (GpuInfo gpu : cuda.gpus()) {
            line(out, "  cuda:" + gpu.ordinal(), gpu.toString());
            line(out, "", Fp8Support.of(gpu).sentence());
        }
        for (LibraryFinding library : cuda.libraries()) {
            line(out, "", library.toString());
        }
    }

    private static void line(PrintWriter out, String label, String text) {
        out.printf("%-12s %s%n", label, text);
    }
}
