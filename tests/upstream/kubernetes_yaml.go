// Reads YAML as Argo CD's git generator reads a file of one application, or documents as kubectl and Argo CD read those of
// manifests, and tells what it read, as JSON.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	kubernetes "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

type question struct {
	Text   string
	Stream bool
}

type outcome struct {
	Read  any
	Error string
}

func main() {
	var asked []question
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	outcomes := make([]outcome, 0, len(asked))
	for _, each := range asked {
		if each.Stream {
			outcomes = append(outcomes, documents(each.Text))
		} else {
			outcomes = append(outcomes, read(each.Text))
		}
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

// gitops-engine's kube.SplitYAML, and kubectl's StreamVisitor.
func documents(text string) outcome {
	decoder := kubernetes.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096)
	found := []json.RawMessage{}
	for {
		document := runtime.RawExtension{}
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return outcome{Read: found}
		}
		if err != nil {
			return outcome{Error: err.Error()}
		}
		if raw := bytes.TrimSpace(document.Raw); len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
			found = append(found, raw)
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
