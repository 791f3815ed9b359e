package engine

import (
	"bytes"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retainwise/millrace/ingest"
)

// throttled returns the throttle of a worker that holds a core of b until release is called.
func throttled(b *Background) (p *throttle, release func()) {
	release = b.acquireCore()
	return &throttle{background: b, since: time.Now()}, release
}

// workedShare returns the share of the time that a worker works which calls yield every tenth of a millisecond.
func workedShare(p *throttle, during time.Duration) (share float64) {
	begin, worked := time.Now(), time.Duration(0)
	for time.Since(begin) < during {
		time.Sleep(100 * time.Microsecond) // simulated work
		worked += 100 * time.Microsecond
		p.yield()
	}
	return float64(worked) / float64(time.Since(begin))
}

func TestBackgroundYieldsToUrgentWork(t *testing.T) {
	for name, test := range map[string]struct {
		cores, urgent int
		least, most   float64 // share of the time
	}{
		"nothing urgent":         {cores: 2, urgent: 0, least: 1, most: 1},
		"both cores requested":   {cores: 2, urgent: 1, least: 0.09, most: 0.12},
		"one core, requested":    {cores: 1, urgent: 1, least: 0.09, most: 0.12},
		"cores left":             {cores: 3, urgent: 1, least: 1, most: 1},
		"several urgent tasks":   {cores: 4, urgent: 2, least: 0.09, most: 0.12},
		"cores left for several": {cores: 8, urgent: 3, least: 1, most: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBackground(test.cores)
				for range test.urgent {
					defer b.Urgent()()
				}
				p, release := throttled(b)
				defer release()
				if share := workedShare(p, time.Second); share < test.least || share > test.most {
					t.Errorf("worked %.3f of the time, want %.2f to %.2f", share, test.least, test.most)
				}
			})
		})
	}
}

// One urgent task takes two of four cores.
func TestBackgroundYieldsOnlyRequestedCores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBackground(4)
		defer b.Urgent()()
		shares := make(chan float64)
		for range 4 {
			p, release := throttled(b)
			go func() {
				share := workedShare(p, time.Second)
				release()
				shares <- share
			}()
		}
		total := 0.0
		for range 4 {
			total += <-shares
		}
		if total < 2 || total > 2.7 { // 2 cores, and a tenth of each paused one
			t.Errorf("four workers used %.2f cores, want 2 to 2.7", total)
		}
	})
}

func TestBackgroundResumesAfterUrgentWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBackground(2)
		p, release := throttled(b)
		defer release()
		done, other := b.Urgent(), b.Urgent()
		time.AfterFunc(3*time.Millisecond, done)
		time.AfterFunc(5*time.Millisecond, other)
		time.Sleep(backgroundSlice)
		if state := b.State(); state != (BackgroundState{Urgent: 2}) {
			t.Errorf("%+v", state)
		}
		begin := time.Now()
		p.yield()
		clock := begin
		if worked := p.lap(&clock); worked != 0 {
			t.Errorf("a pause counts as %v of work", worked)
		}
		if rested := time.Since(begin); rested != 3*time.Millisecond {
			t.Errorf("paused for %v, want 3 ms, the end of the last urgent task", rested)
		}
		if share := workedShare(p, 100*time.Millisecond); share != 1 {
			t.Errorf("worked %.2f of the time without urgent work", share)
		}
		defer b.Urgent()()
		if share := workedShare(p, time.Second); share > 0.12 {
			t.Errorf("worked %.2f of the time with new urgent work", share)
		}
	})
}

// results keeps the result file.
type results struct{ bytes.Buffer }

func (r *results) WriteChunk(c *ScoredChunk) error {
	_, err := r.Write(c.Result)
	return err
}

// A low-priority score pauses within its only chunk and gives the same result.
func TestScoreYieldsWithinAChunk(t *testing.T) {
	bundle, err := OpenBaseline("telecom")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("../testdata/samples/telecom_10k.csv")
	if err != nil {
		t.Fatal(err)
	}
	score := func(b *Background) string {
		header, body, err := ingest.ReadHeader(bytes.NewReader(file), ingest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var made results
		in := Input{Body: body, Header: header, Start: header.Start(), Limits: ingest.Limits{ChunkBytes: len(file)}}
		opt := Options{Workers: 1, Explain: ExplainAll, Background: b}
		if _, err := Score(t.Context(), in, bundle, opt, &made); err != nil {
			t.Fatal(err)
		}
		return made.String()
	}
	want := score(nil)
	b := NewBackground(1)
	defer b.Urgent()()
	got := score(b)
	if b.pauses < 5 { // 3 are between the stages
		t.Errorf("paused %d times in one chunk of 10,000 rows", b.pauses)
	}
	if got != want {
		t.Error("the result differs")
	}
}

func TestNilBackground(t *testing.T) {
	var b *Background
	b.Urgent()()
	if b.State() != (BackgroundState{}) {
		t.Errorf("%+v", b.State())
	}
}
