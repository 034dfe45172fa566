package dev.muonium.device;

import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The one pool of threads: runs numbered tasks on a fixed number of workers, of which the calling thread is one.
 *
 * <p>Tasks are claimed in order by whichever worker is free. Results are the same for any number of workers as long as a
 * task's result does not depend on the worker that runs it.
 *
 * <p>A call of {@link #run} allocates nothing. One region runs at a time: calls from several threads take turns. A task
 * must not call {@link #run} of the pool that runs it.
 */
public final class Workers implements AutoCloseable {
    /** How often an idle worker looks for work before it parks: regions of a training step follow each other closely. */
    private static final int SPINS = 2_000;

    private final int count;
    private final Helper[] helpers;
    /** The next task to claim. Claims go beyond the last task, where an int could overflow. */
    private final AtomicLong nextTask = new AtomicLong();

    /** How many workers are in the region; 0 or less when no helper may join it any more. */
    private final AtomicInteger running = new AtomicInteger();

    private final Object turn = new Object();
    private final Thread creator = Thread.currentThread();

    private volatile int region;
    private volatile boolean closed;
    private int tasks;
    private @Nullable Task body;
    private @Nullable Thread caller;
    private volatile @Nullable Throwable failure;

    private Workers(int count, @Nullable Executor executor) {
        if (count < 1 || count > 1024) {
            throw new IllegalArgumentException("threads is " + count + "; it must be from 1 to 1024");
        }
        this.count = count;
        this.helpers = new Helper[count - 1];
        for (int i = 0; i < helpers.length; i++) {
            helpers[i] = new Helper(i + 1);
        }
        try {
            for (Helper helper : helpers) {
                start(helper, executor);
            }
        } catch (RuntimeException | Error e) { // an error as well: the system may have no further thread
            close(); // ends those that were started
            throw e;
        }
    }

    private void start(Helper helper, @Nullable Executor executor) {
        if (executor == null) {
            Thread thread = new Thread(helper, "muonium-worker-" + helper.worker);
            thread.setDaemon(true);
            thread.start();
            return;
        }
        try {
            executor.execute(helper);
        } catch (RejectedExecutionException e) {
            throw new IllegalArgumentException(
                    "the executor refused the job of worker " + helper.worker + " of " + count + ": " + e.getMessage(),
                    e);
        }
    }

    /** A pool of {@code count} workers: the caller of {@link #run} and {@code count - 1} daemon threads of its own. */
    public static Workers create(int count) {
        return new Workers(count, null);
    }

    /**
     * A pool whose {@code count - 1} further workers are long-running jobs of an executor. The executor should give each a
     * thread at once and until {@link #close()}: with fewer threads, {@link #run} still finishes, on those that there are.
     * Interrupting such a thread does not end its job.
     *
     * @throws IllegalArgumentException if the executor refuses a job, or runs it on the calling thread
     */
    public static Workers on(Executor executor, int count) {
        return new Workers(count, executor);
    }

    /** The number of workers, the calling thread included. */
    public int count() {
        return count;
    }

    /**
     * Runs {@code body} for every task from 0 to {@code tasks - 1} and returns when all are done. What the workers wrote is visible
     * to the caller afterwards.
     *
     * @throws IllegalStateException after close, or if a task of this pool calls it
     * @throws RuntimeException the first failure of a task, as it was thrown; tasks that were not yet started are then left out
     */
    public void run(int tasks, Task body) {
        refuseTasks("run");
        synchronized (turn) {
            if (closed) {
                throw new IllegalStateException("the workers were used after they were closed");
            }
            caller = Thread.currentThread();
            try {
                if (count == 1 || tasks <= 1) {
                    for (int i = 0; i < tasks; i++) {
                        body.run(i, 0);
                    }
                } else {
                    runTogether(tasks, body);
                }
            } finally {
                caller = null;
            }
        }
    }

    /**
     * A task that waits for its own region to end would wait for ever. Without the lock: a thread can find itself here only
     * if it put itself there.
     */
    private void refuseTasks(String call) {
        Thread current = Thread.currentThread();
        boolean inTask = caller == current;
        for (Helper helper : helpers) {
            inTask |= helper.thread == current;
        }
        if (inTask) {
            throw new IllegalStateException("a task called " + call
                    + "() of the workers that run it; call it from outside," + " or give the task a pool of its own");
        }
    }

    @SuppressWarnings("NonAtomicVolatileUpdate") // one writer: the caller that holds the lock
    private void runTogether(int tasks, Task body) {
        this.tasks = tasks;
        this.body = body;
        failure = null;
        nextTask.set(0);
        running.set(1); // publishes the fields above to a helper that joins
        region++; // tells helpers to look
        for (Helper helper : helpers) {
            helper.wake();
        }
        work(body, tasks, 0);
        running.decrementAndGet();
        // Close the region to helpers that have not joined it yet, after those that have are gone.
        for (int spin = 0; !running.compareAndSet(0, Integer.MIN_VALUE); spin++) {
            if (spin < SPINS) {
                Thread.onSpinWait();
            } else {
                LockSupport.parkNanos(this, 20_000);
            }
        }
        this.body = null;
        rethrow(failure);
    }

    private void work(Task body, int tasks, int worker) {
        try {
            for (long task = nextTask.getAndIncrement(); task < tasks; task = nextTask.getAndIncrement()) {
                body.run((int) task, worker);
            }
        } catch (Throwable t) {
            nextTask.set(tasks);
            synchronized (helpers) {
                if (failure == null) {
                    failure = t;
                }
            }
        }
    }

    private static void rethrow(@Nullable Throwable failure) {
        switch (failure) {
            case null -> {}
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            default -> throw new IllegalStateException("a task failed", failure);
        }
    }

    /**
     * Ends the threads. A second call does nothing. Waits for a region in progress.
     *
     * @throws IllegalStateException if a task of this pool calls it
     */
    @Override
    public void close() {
        refuseTasks("close");
        synchronized (turn) {
            closed = true;
            for (Helper helper : helpers) {
                helper.wake();
            }
        }
    }

    /** One further worker: waits for a region, joins it while it is open, works, waits for the next. */
    private final class Helper implements Runnable {
        private final int worker;
        private volatile @Nullable Thread thread;
        private volatile boolean parked;

        Helper(int worker) {
            this.worker = worker;
        }

        void wake() {
            if (parked) {
                LockSupport.unpark(thread);
            }
        }

        @Override
        public void run() {
            if (Thread.currentThread() == creator) {
                throw new IllegalArgumentException(
                        "the executor runs jobs on the thread that submits them; workers need threads of their own");
            }
            thread = Thread.currentThread();
            try {
                serve();
            } finally {
                thread = null; // an executor's thread goes on to other jobs
            }
        }

        private void serve() {
            int seen = 0;
            while (true) {
                seen = awaitRegionAfter(seen);
                if (closed) {
                    return;
                }
                if (join()) {
                    // Joined: the region cannot end before this worker leaves it, so its fields are stable.
                    Task current = body;
                    if (current != null) {
                        work(current, tasks, worker);
                    }
                    leave();
                }
            }
        }

        private int awaitRegionAfter(int seen) {
            for (int spin = 0; spin < SPINS; spin++) {
                if (region != seen || closed) {
                    return region;
                }
                Thread.onSpinWait();
            }
            parked = true;
            try {
                while (region == seen && !closed) {
                    LockSupport.park(Workers.this);
                    var _ = Thread.interrupted(); // else parking would be spinning from now on
                }
            } finally {
                parked = false;
            }
            return region;
        }

        private boolean join() {
            while (true) {
                int now = running.get();
                if (now <= 0) {
                    return false; // over, or all its tasks are claimed
                }
                if (running.compareAndSet(now, now + 1)) {
                    return true;
                }
            }
        }

        private void leave() {
            if (running.decrementAndGet() == 0) {
                LockSupport.unpark(caller);
            }
        }
    }
}
