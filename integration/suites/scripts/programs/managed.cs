// Faults that a run-time turns into exceptions: on several threads, and after a library in Go is
// loaded, which adds SA_ONSTACK to the handlers.
using System;
using System.Runtime.InteropServices;
using System.Threading;

class Node { public int Value = 0; public Node Next = null; }

static class Managed
{
    [DllImport("goadds")]
    static extern int GoAdds(int one, int other);

    static int zero = 0;
    static bool go, collects;

    static int Faults()
    {
        int caught = 0;
        for (int i = 0; i < 200; i++) {
            if (collects && i % 50 == 0) GC.Collect();
            try { Node none = zero == 0 ? null : new Node(); caught += none.Next.Value; }
            catch (NullReferenceException) { caught++; }
            // Go's run-time does not hand SIGFPE on.
            if (go) continue;
            try { caught += 7 / zero; }
            catch (DivideByZeroException) { caught++; }
        }
        return caught;
    }

    static void Check(string name, bool holds)
    {
        Console.WriteLine((holds ? "ok " : "not ok ") + name);
    }

    static bool OnThreads()
    {
        int all = 0;
        var threads = new Thread[8];
        for (int i = 0; i < threads.Length; i++) {
            threads[i] = new Thread(() => Interlocked.Add(ref all, Faults()));
            threads[i].Start();
        }
        foreach (var thread in threads) thread.Join();
        return all == 400 * threads.Length;
    }

    static void Main(string[] arguments)
    {
        string name = arguments[0];
        // Mono 6.8 dies of a collection while other threads fault.
        collects = name != "Mono";
        Check(name + ": faults become exceptions", Faults() == 400);
        Check(name + ": on other threads", OnThreads());
        if (arguments.Length == 1) return;
        go = true;
        // With a collection, or on several threads, .NET may then spin in a fault, library or not.
        collects = false;
        Check(name + ": calls into Go", GoAdds(20, 22) == 42);
        Check(name + ": faults after that", Faults() == 200);
    }
}
