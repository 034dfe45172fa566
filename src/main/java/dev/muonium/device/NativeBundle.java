package dev.muonium.device;

import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.net.URLConnection;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The native libraries that travel with these classes, in a jar or a folder, for one platform. The build lists them in
 * {@code natives.properties}, in the order in which they must be loaded, each with its SHA-256.
 */
final class NativeBundle {
    private static final String LISTING = "natives.properties";

    private final String folder;
    private final String id;
    private final List<Entry> entries;

    /** One library of the bundle. */
    record Entry(String file, String sha256) {}

    private NativeBundle(String folder, String id, List<Entry> entries) {
        this.folder = folder;
        this.id = id;
        this.entries = entries;
    }

    /** Whether there is a bundle for a platform such as {@code linux-x86_64} or {@code linux-x86_64-cuda13}. */
    static boolean exists(String platform) {
        return resource(folder(platform) + LISTING) != null;
    }

    private static String folder(String platform) {
        return "/dev/muonium/native/" + platform + "/";
    }

    /** In the jar of these classes; or in another that the same class loader knows, which a module does not look in. */
    private static @Nullable URL resource(String name) {
        @Nullable URL own = NativeBundle.class.getResource(name);
        ClassLoader loader = NativeBundle.class.getClassLoader();
        return own != null || loader == null ? own : loader.getResource(name.substring(1));
    }

    /** The bundle for a platform such as {@code linux-x86_64}. */
    static NativeBundle forPlatform(String platform) throws IOException {
        String folder = folder(platform);
        @Nullable URL url = resource(folder + LISTING);
        if (url == null) {
            throw new IOException("there is no " + folder + LISTING + " on the class path or in the module of Muonium");
        }
        try (InputStream in = connect(url).getInputStream()) {
            byte[] listing = in.readAllBytes();
            return new NativeBundle(folder, hex(sha256().digest(listing)).substring(0, 32), parse(folder, listing));
        }
    }

    private static List<Entry> parse(String folder, byte[] listing) throws IOException {
        List<Entry> entries = new ArrayList<>();
        for (String line : new String(listing, StandardCharsets.UTF_8).lines().toList()) {
            String[] parts = line.split("=", 2);
            if (parts.length != 2) {
                throw new IOException(folder + LISTING + " has the line '" + line + "', which is not FILE=SHA256");
            }
            entries.add(new Entry(parts[0], parts[1]));
        }
        return List.copyOf(entries);
    }

    /** Names the contents: the beginning of the listing's SHA-256. */
    String id() {
        return id;
    }

    /** The libraries in the order of loading. */
    List<Entry> entries() {
        return entries;
    }

    /** The size of a library in bytes, or -1 where the class loader does not tell. */
    long size(Entry entry) throws IOException {
        return connect(entry).getContentLengthLong();
    }

    /** The contents of a library. */
    InputStream open(Entry entry) throws IOException {
        return connect(entry).getInputStream();
    }

    private URLConnection connect(Entry entry) throws IOException {
        @Nullable URL url = resource(folder + entry.file());
        if (url == null) {
            throw new IOException("there is no " + folder + entry.file() + ", although " + LISTING + " lists it");
        }
        return connect(url);
    }

    private static URLConnection connect(URL url) throws IOException {
        URLConnection connection = url.openConnection();
        connection.setUseCaches(false); // a cached connection keeps the jar open
        return connection;
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every JDK has SHA-256", e);
        }
    }

    static String hex(byte[] digest) {
        return HexFormat.of().formatHex(digest);
    }
}
