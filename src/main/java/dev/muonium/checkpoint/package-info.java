/** Files that hold tensors: the safetensors format. */
@NullMarked
package dev.muonium.checkpoint;

import org.jspecify.annotations.NullMarked;
