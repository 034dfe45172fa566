package dev.muonium;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The command line of a process with this one's class path, for tests that start many of them. */
public final class ChildJava {
    private ChildJava() {}

    /**
     * A JVM that is soon there: it neither optimizes what ends in a moment nor sets up log4j-core, whose beginning takes as much processor time as all
     * the rest together. Errors are logged to its standard error.
     *
     * @param main the class to run
     * @param options for the JVM
     * @param arguments for the class
     */
    public static List<String> command(Class<?> main, List<String> options, String... arguments) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-XX:-UsePerfData",
                "-Dlog4j.provider=org.apache.logging.log4j.simple.internal.SimpleProvider"));
        String cache = System.getProperty("muonium.cache");
        if (cache != null) {
            command.add("-Dmuonium.cache=" + cache);
        }
        command.addAll(options);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
        command.addAll(List.of(arguments));
        return command;
    }
}
