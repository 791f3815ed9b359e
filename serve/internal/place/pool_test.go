package place_test

import (
	"context"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/place"
	"github.com/retainwise/millrace/serve/internal/storefault"
)

// hold takes n places that are left as soon as they are lost, as those of requests are, and returns them.
func hold(t *testing.T, p *place.Pool, caller string, n int, meter *place.Meter) (list []*place.Place) {
	t.Helper()
	for range n {
		pl, err := p.Take(t.Context(), caller, meter)
		if err != nil {
			t.Fatalf("place %d of %s: %v", len(list)+1, caller, err)
		}
		pl.OnLoss(pl.Leave)
		list = append(list, pl)
	}
	return list
}

func lost(list []*place.Place) (n int) {
	for _, pl := range list {
		if pl.Failure() != nil {
			n++
		}
	}
	return n
}

func TestPool_CallerMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place.NewPool(place.Kind{Max: 8, CallerMax: 4})
		hold(t, p, "a", 4, nil)
		begun := time.Now()
		if _, err := p.Take(t.Context(), "a", nil); storefault.CodeOf(err) != fault.CodeBusy {
			t.Errorf("a fifth place: %v", err)
		}
		if waited := time.Since(begun); waited != 2*time.Second {
			t.Errorf("refused after %v", waited)
		}
		hold(t, p, "b", 4, nil)
		if s := p.State(); s.Used != 8 || s.Refused != 1 || s.Lost != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A free place goes to the caller who holds the fewest, however many the others have asked for before.
func TestPool_GrantsToWhoHoldsLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place.NewPool(place.Kind{Max: 2, CallerMax: 2})
		held := []*place.Place{}
		for range 2 {
			pl, err := p.Take(t.Context(), "many", nil)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, pl) // of work that cannot be ended
		}
		var order []string
		var mu sync.Mutex
		var all sync.WaitGroup
		for _, caller := range []string{"many", "many", "many", "few"} {
			all.Go(func() {
				if pl, err := p.Take(t.Context(), caller, nil); err == nil {
					mu.Lock()
					order = append(order, caller)
					mu.Unlock()
					pl.Leave()
				}
			})
			synctest.Wait()
		}
		held[0].Leave()
		synctest.Wait()
		if len(order) != 4 || order[0] != "few" {
			t.Errorf("served in the order %v", order)
		}
		held[1].Leave()
		all.Wait()
	})
}

// A slow client keeps its place as long as there are others; then it is lost, and a fast one is not.
func TestPool_SlowLoseWhileShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place.NewPool(place.Kind{Max: 4, CallerMax: 4, SlowBelow: 1000, SlowMessage: "too slow"})
		quick := &place.Meter{}
		slow := hold(t, p, "slow", 1, &place.Meter{})
		fast := hold(t, p, "fast", 2, quick)
		for range 60 {
			time.Sleep(time.Second)
			quick.Add(5000)
		}
		hold(t, p, "new", 1, nil)
		if lost(slow)+lost(fast) != 0 {
			t.Error("a place was lost while there were free ones")
		}
		hold(t, p, "newer", 1, nil)
		if lost(slow) != 1 || lost(fast) != 0 {
			t.Errorf("lost %d slow ones and %d fast ones, want 1 and 0", lost(slow), lost(fast))
		}
		if code := storefault.CodeOf(slow[0].Failure()); code != fault.CodeSlowBody || !code.Retryable() {
			t.Errorf("the slow one was answered %v", code)
		}
		if err := slow[0].Grow(t.Context(), 1); storefault.CodeOf(err) != fault.CodeSlowBody {
			t.Errorf("a lost place grew: %v", err)
		}
	})
}

// Work is not slow, and neither is what has just begun.
func TestPool_BusyAndNewAreNotSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place.NewPool(place.Kind{Max: 2, CallerMax: 2, SlowBelow: 1000})
		busy := hold(t, p, "a", 1, &place.Meter{})
		busy[0].Busy(true)
		time.Sleep(time.Minute)
		fresh := hold(t, p, "b", 1, &place.Meter{})
		if _, err := p.Take(t.Context(), "c", nil); err == nil || lost(busy)+lost(fresh) != 0 {
			t.Errorf("%v, lost %d and %d", err, lost(busy), lost(fresh))
		}
		busy[0].Busy(false) // from now on its client is waited for
		time.Sleep(6 * time.Second)
		hold(t, p, "c", 1, nil)
		if lost(busy)+lost(fresh) != 1 {
			t.Errorf("lost %d and %d", lost(busy), lost(fresh))
		}
	})
}

// While places are short no caller keeps more than its share; who holds less loses nothing.
func TestPool_ShareWhileShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place.NewPool(place.Kind{Max: 12, CallerMax: 8})
		greedy := hold(t, p, "greedy", 8, nil)
		modest := hold(t, p, "modest", 4, nil)
		hold(t, p, "third", 4, nil)
		if lost(greedy) != 4 || lost(modest) != 0 {
			t.Errorf("greedy lost %d, modest %d, want 4 and 0", lost(greedy), lost(modest))
		}
		if _, err := p.Take(t.Context(), "third", nil); err == nil {
			t.Error("the third has more than its share")
		}
		if got := p.Held(); got["greedy"] != 4 || got["modest"] != 4 || got["third"] != 4 {
			t.Errorf("%v", got)
		}
	})
}

// Work that has begun waits for its next place as long as it may take, and leaves no wait behind when it may not.
func TestPlace_Await(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place.NewPool(place.Kind{Max: 1, CallerMax: 1})
		first := hold(t, p, "first", 1, nil)
		first[0].OnLoss(nil) // work cannot be ended
		second := p.Open("second", nil)
		time.AfterFunc(time.Minute, first[0].Leave)
		if err := second.Await(t.Context(), 1); err != nil {
			t.Errorf("a place that is free after a minute: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := p.Open("third", nil).Await(ctx, 1); storefault.CodeOf(err) != fault.CodeBusy {
			t.Errorf("after an hour: %v", err)
		}
		second.Leave()
		if s := p.State(); s.Used != 0 || s.Waiting != 0 {
			t.Errorf("at rest %+v", s)
		}
	})
}

func TestPlace_Assign(t *testing.T) {
	p := place.NewPool(place.Kind{Max: 4, CallerMax: 1})
	var list []*place.Place
	for range 3 { // a proxy's connections are bounded in all only
		pl, err := p.TakeAtOnce("", nil)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pl)
	}
	if err := list[0].Assign("a"); err != nil {
		t.Error(err)
	}
	if err := list[1].Assign("a"); storefault.CodeOf(err) != fault.CodeBusy {
		t.Errorf("a second one of a: %v", err)
	}
	if err := list[1].Assign("b"); err != nil {
		t.Error(err)
	}
	if err := list[0].Assign(""); err != nil {
		t.Error(err)
	}
	if err := list[2].Assign("a"); err != nil {
		t.Error(err)
	}
	for _, pl := range list {
		pl.Leave()
		pl.Leave()
	}
	if s := p.State(); s.Used != 0 || len(p.Held()) != 0 {
		t.Errorf("%+v, %v", s, p.Held())
	}
}

// Whatever callers do, the bounds hold at every moment, and at the end nothing is held.
func TestPool_BoundsHold(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			p := place.NewPool(place.Kind{Max: 10, CallerMax: 6, SlowBelow: 100})
			var used [6]atomic.Int64
			var all atomic.Int64
			var clients sync.WaitGroup
			for client := range 24 {
				random := rand.New(rand.NewPCG(seed, uint64(client)))
				clients.Go(func() { randomClient(t, p, random, strconv.Itoa(client%6), &used[client%6], &all) })
			}
			clients.Wait()
			if s := p.State(); s.Used != 0 || s.Waiting != 0 || len(p.Held()) != 0 {
				t.Errorf("seed %d: at rest %+v, %v", seed, s, p.Held())
			}
		})
	}
}

func randomClient(t *testing.T, p *place.Pool, random *rand.Rand, caller string, used, all *atomic.Int64) {
	for range 30 {
		time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(4000))*time.Millisecond)
		meter := &place.Meter{}
		pl := p.Open(caller, meter)
		held := int64(0)
		for range random.IntN(4) + 1 {
			if pl.Grow(ctx, 1) != nil {
				break
			}
			held++
			if n, sum := used.Add(1), all.Add(1); n > 6 || sum > 10 {
				t.Errorf("%d of a caller, %d in all", n, sum)
			}
		}
		if random.IntN(2) == 0 && held > 0 {
			pl.OnLoss(func() {})
		}
		time.Sleep(time.Duration(random.IntN(8000)) * time.Millisecond)
		meter.Add(random.IntN(5000))
		used.Add(-held)
		all.Add(-held)
		pl.Leave()
		cancel()
	}
}

// A listener closes the connections of an address that has its bound, and an idle one when another address needs its place.
func TestListener(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := place.NewPool(place.Kind{Max: 4, CallerMax: 3})
	var from atomic.Value
	from.Store("a")
	l := &place.Listener{Listener: inner, Pool: p, Caller: func(net.Addr) string { return from.Load().(string) }, Refusal: []byte("no")}
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	dial()
	first := <-accepted
	for range 2 {
		dial()
		<-accepted
	}
	var answer [2]byte
	if _, err := dial().Read(answer[:]); err != nil || string(answer[:]) != "no" {
		t.Errorf("a fourth connection: %q, %v", answer, err)
	}
	from.Store("b")
	for range 2 { // the second takes a place of the first address
		dial()
		<-accepted
	}
	if got := p.Held(); got["a"] != 2 || got["b"] != 2 {
		t.Errorf("%v", got)
	}
	_ = first.Close()
	_ = inner.Close()
	for range accepted {
		t.Error("another connection")
	}
}

func TestTable(t *testing.T) {
	table := place.NewTable(place.Config{})
	for i, p := range table.All() {
		if p.Name != place.Names[i] || p.Max < 1 || p.CallerMax < 1 || p.CallerMax > p.Max || p.Bytes < 1 || p.Unit == "" {
			t.Errorf("%+v", p.Kind)
		}
	}
	if sum := table.Bytes(); sum > 448<<20 {
		t.Errorf("%d MiB in all", sum>>20)
	}
	if sum := table.KernelBytes(); runtime.GOOS == "linux" && (sum < 64<<20 || sum > 512<<20) {
		t.Errorf("%d MiB of the kernel's in all", sum>>20)
	}
	bucket := place.NewTable(place.Config{UploadBytes: 24 << 20})
	if n := bucket.Uploads.Max; n != 10 {
		t.Errorf("%d uploads on their way into a bucket", n)
	}
}
