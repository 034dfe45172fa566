package dev.muonium.bindings;

import java.io.File;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.concurrent.Callable;

/**
 * Runs a test's code in a class loader of its own, with bindings of its own that nobody has installed a library in: what
 * the JVM of the tests has loaded neither helps nor hinders, and it stays as it was.
 */
final class IsolatedCall {
    private IsolatedCall() {}

    static Object of(Class<? extends Callable<?>> code) throws Exception {
        try (var loader = new URLClassLoader(classPath(), ClassLoader.getPlatformClassLoader())) {
            var constructor = loader.loadClass(code.getName()).getDeclaredConstructor();
            constructor.setAccessible(true);
            return ((Callable<?>) constructor.newInstance()).call();
        }
    }

    private static URL[] classPath() throws MalformedURLException {
        var entries = new ArrayList<URL>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            entries.add(Path.of(entry).toUri().toURL());
        }
        return entries.toArray(URL[]::new);
    }
}
