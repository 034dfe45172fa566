package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A project that depends on the library, {@code src/it/consumer}, built by the Maven that runs this build. Its local repository is one
 * that the build has just made and installed the library in, and nothing else; what else it needs, plugins and Log4j, it takes from the
 * files of the repository that this build has used. Nobody's settings apply, nothing is downloaded, and the user's repository is only read.
 */
final class ConsumerProject {
    static final String MODULE = "example.consumer";
    static final String MAIN = MODULE + ".Main";

    private static final Path SOURCES = Path.of("src/it/consumer");
    private static final Path FOLDER = Path.of(System.getProperty("muonium.consumer"));
    private static final Path PROJECT = FOLDER.resolve("project");

    /** The local repository; nothing of it was there before this build. */
    static final Path REPOSITORY = FOLDER.resolve("repository");

    private final List<Path> dependencies;

    /** What a process printed to its standard output, and to its standard error. */
    record Run(int exitCode, String output, String errors) {
        /** Fails unless the process did. */
        String refusal() {
            assertEquals(3, exitCode, toString());
            return output.strip();
        }

        /** Fails if the process did. */
        String success() {
            assertEquals(0, exitCode, toString());
            return output.strip();
        }
    }

    private ConsumerProject(List<Path> dependencies) {
        this.dependencies = dependencies;
    }

    /** Compiles the project, on the class path and as a module. */
    static ConsumerProject build() throws IOException, InterruptedException {
        copySources();
        Path settings = Files.writeString(FOLDER.resolve("settings.xml"), settings());
        Path toolchains = Files.writeString(FOLDER.resolve("toolchains.xml"), toolchains());
        List<String> command =
                new ArrayList<>(List.of(System.getProperty("muonium.maven"), "--batch-mode", "--no-transfer-progress"));
        command.addAll(List.of("--settings", settings.toString(), "--global-settings", settings.toString()));
        command.addAll(List.of("--file", PROJECT.resolve("pom.xml").toString()));
        command.add("-Dmaven.repo.local=" + REPOSITORY);
        for (String name :
                List.of("muonium", "compiler.plugin", "dependency.plugin", "resources.plugin", "toolchains.plugin")) {
            command.add("-D" + name + ".version=" + System.getProperty(name + ".version"));
        }
        command.addAll(List.of("--toolchains", toolchains.toString()));
        command.add("compile");
        Run maven = run(command);
        assertEquals(0, maven.exitCode(), maven::toString);
        return new ConsumerProject(paths(Files.readString(PROJECT.resolve("target/classpath"))));
    }

    /** What Maven says the project needs to run. */
    List<Path> dependencies() {
        return dependencies;
    }

    Run onTheClassPath(Path jdk, String... options) throws IOException, InterruptedException {
        return run(commandOnTheClassPath(jdk, options));
    }

    /** What {@link #onTheClassPath} runs. */
    List<String> commandOnTheClassPath(Path jdk, String... options) {
        return java(jdk, List.of("--class-path", path("target/classes"), MAIN), options);
    }

    Run onTheModulePath(Path jdk, String... options) throws IOException, InterruptedException {
        return run(java(
                jdk,
                List.of("--module-path", path("target/module-classes"), "--module", MODULE + "/" + MAIN),
                options));
    }

    /** Makes a Java runtime that holds the project and what it requires, and no jar. */
    void link(Path jdk, Path image) throws IOException, InterruptedException {
        run(List.of(
                        tool(jdk, "jlink"),
                        "--module-path",
                        path("target/module-classes"),
                        "--add-modules",
                        MODULE,
                        "--output",
                        image.toString()))
                .success();
    }

    static Run fromAnImage(Path image, String... options) throws IOException, InterruptedException {
        return run(java(image, List.of("--module", MODULE + "/" + MAIN), options));
    }

    /** The JDK that this build is made with. */
    static Path home() {
        return Path.of(System.getProperty("java.home"));
    }

    static String tool(Path jdk, String name) {
        return jdk.resolve("bin").resolve(name).toString();
    }

    private String path(String classes) {
        return Stream.concat(Stream.of(PROJECT.resolve(classes)), dependencies.stream())
                .map(Path::toString)
                .collect(Collectors.joining(File.pathSeparator));
    }

    private static List<String> java(Path jdk, List<String> program, String... options) {
        List<String> command = new ArrayList<>(List.of(tool(jdk, "java")));
        command.add("-Dmuonium.cache=" + System.getProperty("muonium.cache"));
        command.addAll(List.of(options));
        command.addAll(program);
        return command;
    }

    /** Runs a command to its end, without what the environment of this build would tell it. */
    static Run run(List<String> command) throws IOException, InterruptedException {
        Path output = Files.createTempFile("consumer", ".out");
        Path errors = Files.createTempFile("consumer", ".err");
        try {
            ProcessBuilder builder = new ProcessBuilder(command)
                    .redirectInput(Redirect.from(new File("/dev/null")))
                    .redirectOutput(output.toFile())
                    .redirectError(errors.toFile());
            builder.environment().keySet().removeIf(ConsumerProject::isOfTheBuild);
            Process process = builder.start();
            boolean ended = process.waitFor(5, TimeUnit.MINUTES);
            process.destroyForcibly();
            assertTrue(ended, () -> "hangs: " + command);
            return new Run(process.waitFor(), Files.readString(output), Files.readString(errors));
        } finally {
            Files.delete(output);
            Files.delete(errors);
        }
    }

    private static boolean isOfTheBuild(String variable) {
        return variable.startsWith("MUONIUM_")
                || variable.startsWith("MAVEN_")
                || List.of("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH").contains(variable);
    }

    private static void copySources() throws IOException {
        try (Stream<Path> files = Files.walk(SOURCES)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Path copy = PROJECT.resolve(SOURCES.relativize(file));
                Files.createDirectories(copy.getParent());
                Files.writeString(copy, Files.readString(file));
            }
        }
    }

    private static List<Path> paths(String classPath) {
        return Stream.of(classPath.strip().split(File.pathSeparator))
                .map(Path::of)
                .toList();
    }

    /** Maven itself may run on another JDK. */
    private static String toolchains() {
        return """
            <?xml version="1.0" encoding="%s"?>
            <toolchains>
              <toolchain>
                <type>jdk</type>
                <provides><version>25</version></provides>
                <configuration><jdkHome>%s</jdkHome></configuration>
              </toolchain>
            </toolchains>
            """.formatted(StandardCharsets.UTF_8, home());
    }

    /** Takes the place of Maven's central repository, so that not even a missing file is looked for in the network. */
    private static String settings() {
        String files =
                Path.of(System.getProperty("muonium.maven.repository")).toUri().toASCIIString();
        String repository = """
            <id>central</id>
            <url>%s</url>
            <releases><checksumPolicy>ignore</checksumPolicy></releases>
            <snapshots><enabled>false</enabled></snapshots>
            """.formatted(files);
        return """
            <?xml version="1.0" encoding="%s"?>
            <settings>
              <profiles><profile>
                <id>files</id>
                <repositories><repository>%s</repository></repositories>
                <pluginRepositories><pluginRepository>%s</pluginRepository></pluginRepositories>
              </profile></profiles>
              <activeProfiles><activeProfile>files</activeProfile></activeProfiles>
            </settings>
            """.formatted(StandardCharsets.UTF_8, repository, repository);
    }
}
