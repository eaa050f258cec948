import java.util.concurrent.atomic.AtomicLong;

/** What the JVM does by signals. One verdict line for each. */
class Signals {
    int field;
    static volatile Object garbage;
    static int depth;

    static int derefence(Signals object) {
        return object.field;
    }

    static void nullPointers() {
        int caught = 0;
        for (int i = 0; i < 20000; i++) {
            try {
                derefence((i & 1) == 0 ? null : new Signals());
            } catch (NullPointerException e) {
                caught++;
            }
        }
        check("null pointers", caught == 10000);
    }

    static int recurse(int n) {
        depth = n;
        return recurse(n + 1) + 1;
    }

    static void stackOverflow(String name, int times) {
        int caught = 0;
        for (int i = 0; i < times; i++) {
            try {
                recurse(0);
            } catch (StackOverflowError e) {
                caught++;
            }
        }
        check(name, caught == times && depth > 500);
    }

    static void inThreads() throws Exception {
        AtomicLong caught = new AtomicLong();
        Thread[] threads = new Thread[16];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(null, () -> {
                try {
                    recurse(0);
                } catch (StackOverflowError e) {
                    caught.incrementAndGet();
                }
            }, "deep", 256 * 1024);
            threads[i].start();
        }
        for (Thread thread : threads) thread.join();
        check("stack overflow in threads", caught.get() == threads.length);
    }

    static void safepoints() throws Exception {
        AtomicLong sum = new AtomicLong();
        Thread[] threads = new Thread[4];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(() -> {
                long own = 0;
                for (int n = 0; n < 3000000; n++) own += n % 7;
                sum.addAndGet(own);
            });
            threads[i].start();
        }
        for (int i = 0; i < 20; i++) {
            garbage = new byte[1 << 20];
            System.gc();
        }
        for (Thread thread : threads) thread.join();
        long one = 0;
        for (int n = 0; n < 3000000; n++) one += n % 7;
        check("safepoints", sum.get() == 4 * one);
    }

    static void children() throws Exception {
        int right = 0;
        for (int i = 0; i < 20; i++) {
            Process child = new ProcessBuilder("/bin/sh", "-c", "exit " + i).start();
            if (child.waitFor() == i) right++;
        }
        check("children", right == 20);
    }

    static void integerTraps() {
        int caught = 0;
        for (int i = 0; i < 1000; i++) {
            try {
                depth = 7 / (i & 0);
            } catch (ArithmeticException e) {
                caught++;
            }
        }
        check("division by zero", caught == 1000);
    }

    static void check(String name, boolean right) {
        System.out.println((right ? "ok " : "not ok ") + name);
    }

    public static void main(String[] arguments) throws Exception {
        nullPointers();
        stackOverflow("stack overflow", 10);
        inThreads();
        safepoints();
        children();
        integerTraps();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> check("shutdown hook", true)));
    }
}
