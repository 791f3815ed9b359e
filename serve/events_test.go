package serve_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// event is one that arrived whole.
type event struct {
	id   int
	kind string
	data map[string]any
}

// follow reads a stream as a browser does: events that arrived whole, until the stream ends or cut, which is asked behind
// every line, says that the connection breaks there.
func (a *testAPI) follow(id string, lastID int, cut func(line string) bool) (events []event) {
	a.t.Helper()
	req, err := http.NewRequest(http.MethodGet, a.url+"/predictions/"+id+"/events", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", a.token("owner"))
	if lastID > 0 {
		req.Header.Set("Last-Event-ID", strconv.Itoa(lastID))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var e event
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "id":
			if e.id, err = strconv.Atoi(value); err != nil {
				a.t.Fatal(err)
			}
		case "event":
			e.kind = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.data); err != nil {
				a.t.Fatalf("%s: %v", value, err)
			}
		case "":
			events, e = append(events, e), event{}
		}
		if cut(lines.Text()) {
			return events
		}
	}
	if err := lines.Err(); err != nil {
		a.t.Fatal(err)
	}
	return events
}

// TestEvents_ResumeAfterDisconnect loses the stream inside an event, between two, and inside the last one. A client that resumes from the last
// event that arrived whole sees ids that increase, and the final state once.
func TestEvents_ResumeAfterDisconnect(t *testing.T) {
	a := startAPI(t, nil)
	id := a.upload(telecom)
	at := func(text string) func(string) bool { return func(line string) bool { return line == text } }
	if got := a.follow(id, 0, at("event: state")); len(got) != 0 {
		t.Fatalf("%d whole events before the cut", len(got))
	}
	seen := a.follow(id, 0, at(""))
	if len(seen) != 1 || seen[0].kind != "state" || seen[0].data["status"] != "queued" {
		t.Fatalf("%+v", seen)
	}
	last := func() int { return seen[len(seen)-1].id }
	seen = append(seen, a.follow(id, last(), at(""))...)
	working := false
	seen = append(seen, a.follow(id, last(), func(line string) bool {
		if line == "" && !working {
			working = true
			a.work()
		}
		return line == "event: done"
	})...)
	seen = append(seen, a.follow(id, last(), func(string) bool { return false })...)
	for i, e := range seen {
		if final := i == len(seen)-1; (e.kind == "done") != final || (e.data["status"] == "completed") != final {
			t.Errorf("event %d of %d is %s, %v", i+1, len(seen), e.kind, e.data["status"])
		}
		if e.id != i+1 {
			t.Errorf("event %d has id %d", i+1, e.id)
		}
	}
}

// wantDocumentedEvents compares a stream with the form in the API's document.
func wantDocumentedEvents(t *testing.T, events string) {
	t.Helper()
	stream := document(t).Paths.Value("/predictions/{id}/events").Get.Responses.Status(http.StatusOK).Value
	form := regexp.MustCompile(stream.Content.Get("text/event-stream").Schema.Value.Pattern)
	for text, want := range map[string]bool{
		events: true, events + ": waiting\n\n": true, "": true, events[1:]: false, "data: x\n\n": false,
	} {
		if form.MatchString(text) != want {
			t.Errorf("the documented form of the stream fits %.60q: %t", text, !want)
		}
	}
}
