package serve_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
	"github.com/retainwise/millrace/store/storetest"
)

// drop is one put of a file into the inbox. How many rows it has says which content it is.
type drop struct {
	key  string
	rows int
	info objects.Info // as a HEAD said right after it
}

// inboxModel is an inbox with what must become of it: one prediction for every put that was announced, or that a list
// found. A bucket without versions forgets what was overwritten before anything asked for it.
type inboxModel struct {
	*testAPI
	random    *rand.Rand
	dir       string // of the bucket's files; empty if it keeps versions
	processes []*store.Store
	clock     time.Time // of the last put, to the second
	current   map[string]drop
	queue     []drop // notices that were not handled yet, or that come again
	all       []drop
	want      map[string]drop // by key and identity
}

// TestInbox_OnePredictionPerPut puts, overwrites, notices and lists files in random order. Notices come late, twice, out of
// order, to two processes at once that also list, some are lost, and processes are killed in between. DROPPED_SEEDS sets
// how many runs there are.
func TestInbox_OnePredictionPerPut(t *testing.T) {
	seeds := 2
	if n, err := strconv.Atoi(os.Getenv("DROPPED_SEEDS")); err == nil {
		seeds = n
	}
	for _, versioned := range []bool{true, false} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("versions %v, seed %d", versioned, seed), func(t *testing.T) {
				m := newInboxModel(t, versioned, uint64(seed))
				for range 40 {
					m.step()
				}
				m.settle()
				m.wantOneEach()
			})
		}
	}
}

func newInboxModel(t *testing.T, versioned bool, seed uint64) *inboxModel {
	t.Helper()
	m := &inboxModel{
		random: rand.New(rand.NewPCG(seed, 0)), clock: time.Now().Add(-time.Hour).Truncate(time.Second),
		current: map[string]drop{}, want: map[string]drop{},
	}
	var config objects.S3Config
	if versioned {
		config = storetest.VersionedS3(t)
	} else {
		config = storetest.S3(t)
		m.dir = storetest.S3Dir(t, config.Bucket)
	}
	bucket, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	database := storetest.Postgres(t)
	for range 2 {
		m.processes = append(m.processes, storetest.Open(t, store.Config{URL: database}))
	}
	m.testAPI = startAPI(t, func(_ *api.Config, p *api.Parts) { p.Objects, p.Store = bucket, m.processes[0] })
	m.objects = bucket
	return m
}

func (m *inboxModel) step() {
	switch n := m.random.IntN(10); {
	case n < 4:
		m.put()
	case n < 8:
		m.deliver(1 + m.random.IntN(4))
	case n < 9:
		m.scan()
	default: // both at once
		var group sync.WaitGroup
		group.Go(func() { m.list(m.processes[1]) })
		m.deliver(2)
		group.Wait()
		m.found()
	}
}

// put drops one of few contents under one of few names, often the same again. Its notice may be lost, or come up to three
// times.
func (m *inboxModel) put() {
	m.t.Helper()
	d := drop{key: fmt.Sprintf("inbox/owner/%d.csv", m.random.IntN(3)), rows: 4 + m.random.IntN(3)}
	text := telecom + strings.Repeat("A-4,1,2,2,One year\n", d.rows-3)
	m.testAPI.put(d.key, text)
	if m.dir != "" { // two puts of the same bytes within a second are one, as no answer distinguishes them
		m.clock = m.clock.Add(time.Duration(m.random.IntN(3)) * time.Second)
		if err := os.Chtimes(filepath.Join(m.dir, d.key), m.clock, m.clock); err != nil {
			m.t.Fatal(err)
		}
	}
	var err error
	if d.info, err = m.objects.Head(m.t.Context(), d.key); err != nil || (d.info.Version != "") != (m.dir == "") {
		m.t.Fatalf("%+v, %v", d.info, err)
	}
	m.current[d.key] = d
	m.all = append(m.all, d)
	for range m.random.IntN(4) {
		m.queue = append(m.queue, d)
	}
}

// deliver handles up to n notices in any order, by two processes at once. One that is killed leaves its notice, which comes
// again at once; one that ends before it deletes the message leaves it for later.
func (m *inboxModel) deliver(n int) {
	m.random.Shuffle(len(m.queue), func(i, j int) { m.queue[i], m.queue[j] = m.queue[j], m.queue[i] })
	n = min(n, len(m.queue))
	batch := slices.Clone(m.queue[:n])
	m.queue = m.queue[n:]
	var group sync.WaitGroup
	for i, d := range batch {
		var kills []time.Duration
		for m.random.IntN(3) == 0 {
			kills = append(kills, time.Duration(m.random.IntN(20))*time.Millisecond)
		}
		group.Go(func() { m.handle(m.processes[i%2], d, kills) })
		if m.random.IntN(4) == 0 {
			m.queue = append(m.queue, d)
		}
		if m.dir != "" {
			d = m.current[d.key]
		}
		m.expect(d)
	}
	group.Wait()
}

// handle is killed after each of the times, and then is not.
func (m *inboxModel) handle(s *store.Store, d drop, kills []time.Duration) {
	event := queue.ObjectEvent{Bucket: "b", Key: d.key, Version: d.info.Version}
	notice := queue.Notice{Objects: []queue.ObjectEvent{event}}
	for _, after := range kills {
		ctx, cancel := context.WithCancel(m.t.Context()) // a deadline would count against the bucket
		timer := time.AfterFunc(after, cancel)
		_, _ = serve.HandleMessage(ctx, s, m.objects, m.log, notice)
		timer.Stop()
		cancel()
	}
	if _, err := serve.HandleMessage(m.t.Context(), s, m.objects, m.log, notice); err != nil {
		m.t.Errorf("notice of %s: %v", d.key, err)
	}
}

func (m *inboxModel) scan() {
	m.list(m.processes[m.random.IntN(2)])
	m.found()
}

func (m *inboxModel) list(s *store.Store) {
	if err := serve.ScanInbox(m.t.Context(), s, m.objects, m.log); err != nil {
		m.t.Errorf("scan: %v", err)
	}
}

// found expects what a list shows.
func (m *inboxModel) found() {
	for _, d := range m.current {
		m.expect(d)
	}
}

func (m *inboxModel) expect(d drop) {
	id := d.info.Version
	if id == "" {
		id = fmt.Sprint(d.info.ETag, d.info.Modified.Unix())
	}
	m.want[d.key+" "+id] = d
}

// settle delivers what is left, and then every notice of the whole run once more.
func (m *inboxModel) settle() {
	for len(m.queue) > 0 {
		m.deliver(4)
	}
	for _, d := range m.all {
		if m.dir == "" || reflect.DeepEqual(m.current[d.key], d) {
			if m.queue = append(m.queue, d); m.dir == "" {
				m.expect(d)
			}
		}
	}
	m.deliver(len(m.queue))
	m.scan()
}

// wantOneEach lets everything be scored, and compares. A bucket without versions cannot give other bytes than it has now.
func (m *inboxModel) wantOneEach() {
	m.t.Helper()
	m.work()
	want, got := map[string]int{}, map[string]int{}
	readable := map[string]int{}
	for _, d := range m.want {
		name := filepath.Base(d.key)
		want[name]++
		if m.dir == "" || m.current[d.key].info.ETag == d.info.ETag {
			readable[fmt.Sprint(name, " ", d.rows, " rows")]++
		}
	}
	scored := map[string]int{}
	for _, p := range m.get("/predictions?limit=100").want(m.t, http.StatusOK).object(m.t)["predictions"].([]any) {
		view := m.ended(p.(map[string]any)["prediction_id"].(string))
		name := view["filename"].(string)
		got[name]++
		if view["status"] == "completed" {
			scored[fmt.Sprint(name, " ", view["row_count"], " rows")]++
		} else if code := view["error"].(map[string]any)["code"]; code != "ERR-1015" {
			m.t.Errorf("%s: %v", name, view["error"])
		}
	}
	if !maps.Equal(got, want) || !maps.Equal(scored, readable) {
		m.t.Errorf("predictions %v, want %v; scored %v, want %v", got, want, scored, readable)
	}
}
