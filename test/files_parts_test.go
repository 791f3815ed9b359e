package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// germanFile is larger than a part, and only its first row shows that the comma is a decimal one: the others could be
// read both ways.
func germanFile() string {
	var b strings.Builder
	b.WriteString("customerID;tenure;MonthlyCharges;TotalCharges;Contract;note\n0;5;91,15;455,75;One year;first\n")
	for i := 1; b.Len() < 9<<20; i++ {
		fmt.Fprintf(&b, "%d;%d;%d;%d.%03d;One year;%s\n", i, i%70, 20+i%90, 1+i%7, i%1000, strings.Repeat("x", 200))
	}
	return b.String()
}

// The style that the front of a file shows reaches every part of it, whether it is uploaded or dropped into the bucket.
func TestNumberStyleReachesEveryPart(t *testing.T) {
	s3, queue := storetest.S3(t), storetest.SQS(t)
	r := start(t, func(c *serve.RunConfig) {
		c.DatabaseURL, c.S3, c.Queue, c.API.Rates = storetest.Postgres(t), s3, queue.Config, &serve.RateLimits{}
	})
	bucket, err := objects.OpenS3(t.Context(), s3)
	if err != nil {
		t.Fatal(err)
	}
	file := germanFile()
	info, err := bucket.Put(t.Context(), "inbox/developer/german.csv", strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	queue.Send(t, created(s3.Bucket, "inbox/developer/german.csv", info))
	r.wantOne(t, file)
	p := r.wait(t, r.upload(t, file).ID)
	if p.Rows.Rejected != 0 || p.Summary.NumberStyle != "1.234,56" {
		t.Errorf("%+v, style %q", p.Rows, p.Summary.NumberStyle)
	}
	_, result := r.Do(t, http.MethodGet, "/predictions/"+p.ID+"/download", nil)
	if string(result) != scoredOffline(t, "telecom", file) {
		t.Error("the upload gives other bytes than the command line")
	}
}

// Numbers that turn to another style behind the first megabyte cost their rows, and more than one in a hundred the file.
func TestLateStyleFailsTheFile(t *testing.T) {
	r := start(t, func(c *serve.RunConfig) { c.DatabaseURL, c.API.Rates = storetest.Postgres(t), &serve.RateLimits{} })
	late := func(rows int) string {
		var b strings.Builder
		b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract,note\n")
		for i := range 8000 {
			fmt.Fprintf(&b, "%d,5,91.15,455.75,One year,%s\n", i, strings.Repeat("x", 200))
		}
		for i := range rows {
			fmt.Fprintf(&b, "L%d,5,\"91,15\",455.75,One year,x\n", i)
		}
		return b.String()
	}
	if p := r.wait(t, r.upload(t, late(20)).ID); p.Rows.Rejected != 20 {
		t.Errorf("20 rows: %+v", p.Rows)
	}
	status, body := r.Do(t, http.MethodPost, "/score", strings.NewReader(late(200)), "Content-Type", "text/csv")
	if status != http.StatusBadRequest || !strings.Contains(string(body), "ERR-1016") {
		t.Errorf("POST /score: %d %.300s", status, body)
	}
	id := r.upload(t, late(200)).ID
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_, body := r.Do(t, http.MethodGet, "/predictions/"+id, nil)
		if p := decodePrediction(t, body); p.Status == "failed" {
			if !strings.Contains(string(p.Error), "ERR-1016") || !strings.Contains(string(p.Error), "200 of the 8,200 rows") {
				t.Errorf("failed with %s", p.Error)
			}
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("still %s", p.Status)
		}
	}
}
