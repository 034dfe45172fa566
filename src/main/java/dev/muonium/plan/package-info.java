/** The memory planner: what a training run will ask for, and how it can be made to fit. */
@NullMarked
package dev.muonium.plan;

import org.jspecify.annotations.NullMarked;
