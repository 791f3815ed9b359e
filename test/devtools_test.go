package test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// browser is a headless Chromium that is controlled over its debugging pipe: messages of the DevTools protocol, each
// ended by a zero byte. It belongs to one test.
type browser struct {
	t       *testing.T
	in      *os.File
	out     *bufio.Reader
	session string // of the one page
	next    int
	faults  []string // what the page complained about
}

// devtoolsMessage is an answer (ID) or an event (Method).
type devtoolsMessage struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// openBrowser starts Chromium with an empty page. If none is installed it skips the test, or fails it if MILLRACE_BROWSER
// is set.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	path := findChromium()
	if path == "" {
		if os.Getenv("MILLRACE_BROWSER") != "" {
			t.Fatal("no Chromium on PATH")
		}
		t.Skip("no Chromium on PATH: the pages are not looked at")
	}
	toBrowser, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser} // descriptors 3 and 4
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = toBrowser.Close()
	_ = fromBrowser.Close()
	b := &browser{t: t, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() { // the test's context has ended, and the browser with it
		_ = cmd.Wait()
		_ = in.Close()
		_ = out.Close()
	})
	_ = out.SetReadDeadline(time.Now().Add(10 * time.Minute)) // of the whole test
	b.attach()
	return b
}

func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func (b *browser) attach() {
	b.t.Helper()
	var target struct{ TargetID string }
	b.decode(b.call("Target.createTarget", map[string]any{"url": "about:blank"}), &target)
	var session struct{ SessionID string }
	b.decode(b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}), &session)
	b.session = session.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "DOM"} {
		b.call(domain+".enable", nil)
	}
}

// navigated is the browser's error for a command that was in progress while its page was left, such as an evaluation right
// after a click on a link. call then returns nil.
const navigated = "Inspected target navigated or closed"

// call sends a command and returns its result; it passes events that arrive meanwhile to note.
func (b *browser) call(method string, params map[string]any) json.RawMessage {
	b.t.Helper()
	b.next++
	command := map[string]any{"id": b.next, "method": method, "params": params}
	if b.session != "" {
		command["sessionId"] = b.session
	}
	text, err := json.Marshal(command)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		text, err := b.out.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
		var m devtoolsMessage
		b.decode(text[:len(text)-1], &m)
		if m.ID != b.next {
			b.note(m)
			continue
		}
		if m.Error != nil && m.Error.Message == navigated {
			return nil
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		return m.Result
	}
}

// note records errors of the page: exceptions, and violations of its content security policy.
func (b *browser) note(m devtoolsMessage) {
	if m.Method == "Runtime.exceptionThrown" {
		b.faults = append(b.faults, string(m.Params))
	}
	var log struct {
		Entry struct{ Level, Source, Text, URL string }
	}
	if m.Method == "Log.entryAdded" && json.Unmarshal(m.Params, &log) == nil && log.Entry.Level == "error" {
		b.faults = append(b.faults, log.Entry.Source+": "+log.Entry.Text+" "+log.Entry.URL)
	}
}

func (b *browser) decode(text []byte, into any) {
	b.t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		b.t.Fatalf("%v: %s", err, text)
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": url})
}

// eval returns the value of an expression as text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	var answer struct {
		Result struct {
			Value       any
			Description string
		}
		ExceptionDetails any
	}
	result := b.call("Runtime.evaluate", map[string]any{
		"expression": expression, "returnByValue": true, "awaitPromise": true,
	})
	if result == nil {
		return navigated
	}
	b.decode(result, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, answer.Result.Description)
	}
	return fmt.Sprint(answer.Result.Value)
}

// until waits for an expression to become true.
func (b *browser) until(expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); b.eval("Boolean("+expression+")") != "true"; {
		if time.Now().After(deadline) {
			b.t.Fatalf("never true: %s; the page says %q; faults %q", expression,
				b.eval("document.body.innerText"), b.faults)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// choose sets the file of the input with the given id, as the file dialog does.
func (b *browser) choose(id, file string) {
	b.t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		b.t.Fatal(err)
	}
	var object struct{ Result struct{ ObjectID string } }
	b.decode(b.call("Runtime.evaluate", map[string]any{"expression": "document.getElementById('" + id + "')"}), &object)
	b.call("DOM.setFileInputFiles", map[string]any{"files": []string{path}, "objectId": object.Result.ObjectID})
}

// press presses and releases a key.
func (b *browser) press(key string, code int) {
	b.t.Helper()
	event := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code}
	if key == "Enter" {
		event["text"] = "\r"
	}
	b.call("Input.dispatchKeyEvent", event)
	event["type"] = "keyUp"
	b.call("Input.dispatchKeyEvent", event)
}

// dark emulates the preference for dark or light colours.
func (b *browser) dark(on bool) {
	b.t.Helper()
	scheme := map[bool]string{false: "light", true: "dark"}[on]
	b.call("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}},
	})
}

// screenshot saves the window as an image if MILLRACE_SCREENSHOTS names a directory.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("MILLRACE_SCREENSHOTS")
	if dir == "" {
		return
	}
	var shot struct{ Data string }
	b.decode(b.call("Page.captureScreenshot", nil), &shot)
	image, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), image, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// faultless fails the test if the page had an error.
func (b *browser) faultless() {
	b.t.Helper()
	for _, fault := range b.faults {
		b.t.Errorf("the page complains: %s", fault)
	}
}
