package dev.muonium.pytorch;

import dev.muonium.ReadmeExample;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's example for PyTorch compiles as it stands there, and runs. */
@PyTorchTest
final class PyTorchReadmeTest {
    private static final String IMPORTS = """
        import dev.muonium.optim.AdamW;
        import dev.muonium.optim.Muon;
        import dev.muonium.optim.StateFormat;
        import dev.muonium.pytorch.ModuleOptimizer;
        import org.bytedeco.javacpp.PointerScope;
        import org.bytedeco.pytorch.EmbeddingImpl;
        import org.bytedeco.pytorch.LinearImpl;
        import org.bytedeco.pytorch.SequentialImpl;
        import org.bytedeco.pytorch.Tensor;
        import org.bytedeco.pytorch.global.torch;
        """;

    @Test
    void exampleCompilesAndRuns(@TempDir Path classes) throws Exception {
        ReadmeExample.of(PyTorchReadmeTest.class).run(IMPORTS, classes);
    }
}
