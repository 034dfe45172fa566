/** Memory-light training for the JVM. */
module dev.muonium {
    requires jdk.jfr;
    requires org.apache.logging.log4j;
    requires static ai.djl.api; // for dev.muonium.djl alone
    requires static org.bytedeco.pytorch; // for dev.muonium.pytorch alone
    requires static transitive org.jspecify;

    exports dev.muonium;
    exports dev.muonium.activations;
    exports dev.muonium.checkpoint;
    exports dev.muonium.device;
    exports dev.muonium.djl;
    exports dev.muonium.lowrank;
    exports dev.muonium.memory;
    exports dev.muonium.nano;
    exports dev.muonium.optim;
    exports dev.muonium.ortho;
    exports dev.muonium.plan;
    exports dev.muonium.pytorch;
    exports dev.muonium.quant;
}
