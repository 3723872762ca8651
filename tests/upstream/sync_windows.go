// Reads sync windows as Argo CD does, and says when each opens.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	log "github.com/sirupsen/logrus"

	"github.com/robfig/cron/v3"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
)

const count = 40

type outcome struct {
	Error    string
	Seconds  float64
	TimeZone string
	Opens    []int64
}

func main() {
	log.SetLevel(log.ErrorLevel)
	var asked []v1alpha1.InlineSyncWindow
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	outcomes := make([]outcome, 0, len(asked))
	for _, each := range asked {
		outcomes = append(outcomes, read(each))
	}
	must(json.NewEncoder(os.Stdout).Encode(outcomes))
}

func read(window v1alpha1.InlineSyncWindow) outcome {
	if err := window.Validate(); err != nil {
		return outcome{Error: err.Error()}
	}
	duration, err := time.ParseDuration(window.Duration)
	must(err)
	// as in SyncWindows.Active
	schedule, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(window.Schedule)
	must(err)
	seen := outcome{Seconds: duration.Seconds(), TimeZone: window.TimeZone}
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for range count {
		at = schedule.Next(at)
		if at.IsZero() {
			break
		}
		seen.Opens = append(seen.Opens, at.Unix())
	}
	return seen
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
