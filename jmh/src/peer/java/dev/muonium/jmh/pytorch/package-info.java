/** A real model on a real text, trained by PyTorch's AdamW and by Muonium's optimizers under the same module. */
package dev.muonium.jmh.pytorch;
