package dev.muonium.cli;

/** The exit codes of {@code muonium}, as its help lists them. */
final class ExitCode {
    static final int OK = 0;
    /** Everything ran, and a check did not hold: {@code conform} found an error beyond its tolerance. */
    static final int CHECK_FAILED = 1;
    /** The command line, or a file that it names, is not what it must be. */
    static final int USAGE = 2;
    /** This machine lacks something: a device, a native library, memory. */
    static final int UNAVAILABLE = 3;
    /** A mistake in Muonium itself. */
    static final int INTERNAL = 4;
    /** Ended by Ctrl-C, as shells have it. */
    static final int INTERRUPTED = 130;

    private ExitCode() {}
}
