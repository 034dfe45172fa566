package dev.muonium.pytorch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** An app without PyTorch, or without its native libraries, is told so in a sentence. */
@PyTorchTest
final class MissingPyTorchTest {
    @Test
    void thereIsNothingToSayWhereItIs() {
        assertTrue(PyTorch.unavailable().isEmpty());
        PyTorch.require();
    }

    @Test
    void withoutTheDependency() throws Exception {
        assertEquals(
                "PyTorch is not on the class path or module path (org.bytedeco.pytorch.global.torch is missing), which"
                        + " dev.muonium.pytorch works with: add the dependency org.bytedeco:pytorch and its native"
                        + " libraries, the same artifact with the classifier of the platform, such as linux-x86_64 or"
                        + " linux-x86_64-gpu",
                failure(jar -> !jar.contains("bytedeco")));
    }

    @Test
    void withoutItsNativeLibraries() throws Exception {
        String message = failure(jar -> !jar.endsWith("-linux-x86_64.jar"));

        assertTrue(message.startsWith("the native libraries of PyTorch cannot be loaded (no jni"), message);
        assertTrue(
                message.contains("): add org.bytedeco:pytorch and org.bytedeco:openblas with the classifier"), message);
    }

    /** What {@link PyTorch#require} says in a class loader that has some of this one's class path. */
    private static String failure(Predicate<String> kept) throws Exception {
        List<URL> path = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (kept.test(entry)) {
                path.add(new File(entry).toURI().toURL());
            }
        }
        try (URLClassLoader app = new URLClassLoader(path.toArray(URL[]::new), ClassLoader.getPlatformClassLoader())) {
            Class<?> pyTorch = app.loadClass(PyTorch.class.getName());
            Throwable thrown = assertThrows(
                            InvocationTargetException.class,
                            () -> pyTorch.getMethod("require").invoke(null))
                    .getCause();
            // A second time, when the JVM only says that a class could not be initialized.
            Throwable again = assertThrows(
                            InvocationTargetException.class,
                            () -> pyTorch.getMethod("require").invoke(null))
                    .getCause();

            assertEquals(
                    "dev.muonium.DeviceUnavailableException", thrown.getClass().getName());
            assertEquals(thrown.getMessage(), again.getMessage());
            return thrown.getMessage();
        }
    }
}
