package dev.muonium.device;

import java.nio.file.Path;

/**
 * A native library that is loaded.
 *
 * @param name its file name, for example {@code libdnnl.so.3}
 * @param version what it says of itself, for example {@code 3.13.0}; {@code unknown} where it says nothing
 * @param path the file that it was loaded from
 */
public record LibraryInfo(String name, String version, Path path) {}
