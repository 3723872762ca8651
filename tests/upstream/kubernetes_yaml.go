// Reads YAML as Argo CD's git generator reads a file of one application, and tells what it read, as JSON.
package main

import (
	"encoding/json"
	"os"

	"sigs.k8s.io/yaml"
)

type outcome struct {
	Read  any
	Error string
}

func main() {
	var texts []string
	must(json.NewDecoder(os.Stdin).Decode(&texts))
	outcomes := make([]outcome, 0, len(texts))
	for _, text := range texts {
		outcomes = append(outcomes, read(text))
	}
	must(json.NewEncoder(os.Stdout).Encode(outcomes))
}

// applicationset/generators/git.go: what is no list of mappings is one.
func read(text string) outcome {
	found := make(map[string]any)
	if err := yaml.Unmarshal([]byte(text), &found); err != nil {
		return outcome{Error: err.Error()}
	}
	return outcome{Read: found}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
