package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// prometheusConfig is what is shipped: its target is replaced by those of the run.
const prometheusConfig = "../deploy/prometheus/prometheus.yaml"

// prometheus is a running one.
type prometheus struct {
	base    string
	command *exec.Cmd
	log     *os.File
}

// startPrometheus scrapes targets every second with the shipped configuration, and evaluates rules as often.
func startPrometheus(ctx context.Context, program, dir string, rules []byte, targets []string) (*prometheus, error) {
	text, err := os.ReadFile(prometheusConfig)
	if err != nil {
		return nil, err
	}
	config := strings.ReplaceAll(string(text), "interval: 15s", "interval: 1s")
	config = strings.Replace(config, `"127.0.0.1:9090"`, `"`+strings.Join(targets, `", "`)+`"`, 1)
	if !strings.Contains(config, targets[0]) || !strings.Contains(config, "scrape_interval: 1s") {
		return nil, fmt.Errorf("%s has another form than the run expects", prometheusConfig)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for name, content := range map[string]string{"prometheus.yaml": config, "rules.yaml": string(rules)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p := &prometheus{base: "http://" + address}
	if p.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	p.command = exec.Command(program, "--config.file", filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address, "--log.level", "warn")
	p.command.Stdout, p.command.Stderr = p.log, p.log
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start Prometheus: %w", err)
	}
	for begin := time.Now(); ; wait(ctx, 100*time.Millisecond) {
		if _, err = p.firing(ctx); err == nil {
			return p, nil
		}
		if time.Since(begin) > time.Minute || ctx.Err() != nil {
			said, _ := os.ReadFile(p.log.Name())
			p.stop()
			return nil, fmt.Errorf("start Prometheus: %w: %s", err, said)
		}
	}
}

func (p *prometheus) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	_ = p.command.Wait()
	_ = p.log.Close()
}

// firing are the labels of the alerts that fire.
func (p *prometheus) firing(ctx context.Context) (list []map[string]string, err error) {
	var data struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	if err := p.get(ctx, "/api/v1/alerts", &data); err != nil {
		return nil, err
	}
	for _, a := range data.Alerts {
		if a.State == "firing" {
			list = append(list, a.Labels)
		}
	}
	return list, nil
}

// holds reports whether a query has a result.
func (p *prometheus) holds(ctx context.Context, query string) (bool, error) {
	var data struct{ Result []any }
	err := p.get(ctx, "/api/v1/query?query="+url.QueryEscape(query), &data)
	return len(data.Result) > 0, err
}

func (p *prometheus) get(ctx context.Context, path string, data any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	if err == nil {
		err = json.Unmarshal(body, &struct{ Data any }{data})
	}
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	return nil
}
