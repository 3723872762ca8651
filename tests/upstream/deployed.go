// Makes of a checked-out repository what Argo CD deploys: the Applications of an ApplicationSet by its own generators and
// template, and the objects of each by its repository server's own code, which calls the `helm` on PATH. No cluster is
// asked.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	log "github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/argoproj/argo-cd/v3/applicationset/controllers/template"
	"github.com/argoproj/argo-cd/v3/applicationset/generators"
	"github.com/argoproj/argo-cd/v3/applicationset/utils"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/reposerver/apiclient"
	"github.com/argoproj/argo-cd/v3/reposerver/repository"
	"github.com/argoproj/argo-cd/v3/util/git"
	utilio "github.com/argoproj/argo-cd/v3/util/io"
)

// Render names the Applications whose objects are wanted; "*" is all of them.
type question struct {
	Folder      string
	Set         string
	Render      string
	KubeVersion string
	APIVersions []string
}

// Values are what Helm reads of the Application's own.
type deployed struct {
	Application v1alpha1.Application
	Values      map[string]any
	Objects     []json.RawMessage
	Error       string
}

type outcome struct {
	Deployed []deployed
	Error    string
}

func main() {
	log.SetOutput(io.Discard)
	var asked []question
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	outcomes := make([]outcome, 0, len(asked))
	for _, each := range asked {
		outcomes = append(outcomes, each.answered())
	}
	must(json.NewEncoder(os.Stdout).Encode(outcomes))
}

func (asked question) answered() outcome {
	var set v1alpha1.ApplicationSet
	if err := yaml.UnmarshalStrict([]byte(asked.Set), &set); err != nil {
		return outcome{Error: err.Error()}
	}
	applications, err := asked.generated(set)
	if err != nil {
		return outcome{Error: err.Error()}
	}
	answer := outcome{}
	for _, application := range applications {
		found := deployed{Application: application, Values: map[string]any{}}
		if err := yaml.Unmarshal(application.Spec.Source.Helm.ValuesYAML(), &found.Values); err != nil {
			found.Error = err.Error()
		} else if asked.Render == "*" || asked.Render == application.Name {
			found.Objects, err = asked.rendered(application)
			if err != nil {
				found.Error = err.Error()
			}
		}
		answer.Deployed = append(answer.Deployed, found)
	}
	return answer
}

// As the ApplicationSet controller does; one that fails for one Application makes none.
func (asked question) generated(set v1alpha1.ApplicationSet) ([]v1alpha1.Application, error) {
	files, err := git.NewClientExt("https://git.example.com/none", asked.Folder, git.NopCreds{}, true, false, "", "")
	if err != nil {
		return nil, err
	}
	known := map[string]generators.Generator{
		"List": generators.NewListGenerator(),
		"Git":  generators.NewGitGenerator(checkout{asked.Folder, files}, set.Namespace),
	}
	known["Matrix"] = generators.NewMatrixGenerator(known)
	found, _, err := template.GenerateApplications(log.NewEntry(log.New()), set, known, &utils.Render{}, nil)
	return found, err
}

// As the application controller asks and the repository server answers.
func (asked question) rendered(application v1alpha1.Application) ([]json.RawMessage, error) {
	source := application.Spec.Source.DeepCopy()
	request := apiclient.ManifestRequest{
		Repo:              &v1alpha1.Repository{Repo: source.RepoURL},
		AppName:           application.InstanceName(application.Namespace),
		Namespace:         application.Spec.Destination.Namespace,
		ApplicationSource: source,
		KubeVersion:       asked.KubeVersion,
		ApiVersions:       asked.APIVersions,
	}
	answer, err := repository.GenerateManifests(
		context.Background(), filepath.Join(asked.Folder, source.Path), asked.Folder, source.TargetRevision, &request,
		false, &git.NoopCredsStore{}, resource.MustParse("0"), utilio.NewRandomizedTempPaths(asked.Folder),
	)
	if err != nil {
		return nil, err
	}
	objects := make([]json.RawMessage, 0, len(answer.Manifests))
	for _, each := range answer.Manifests {
		objects = append(objects, json.RawMessage(each))
	}
	return objects, nil
}

// Reads files as the repository server does (Service.GetGitFiles).
type checkout struct {
	folder string
	client git.Client
}

func (here checkout) GetFiles(ctx context.Context, _, _, _, pattern string, _ bool, _ *v1alpha1.SourceIntegrity) (map[string][]byte, error) {
	names, err := here.client.LsFiles(ctx, pattern, false)
	if err != nil {
		return nil, err
	}
	found := make(map[string][]byte, len(names))
	for _, name := range names {
		if found[name], err = os.ReadFile(filepath.Join(here.folder, name)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

var errNotAsked = errors.New("no ApplicationSet of ours asks for it")

func (checkout) GetDirectories(context.Context, string, string, string, bool, *v1alpha1.SourceIntegrity) ([]string, error) {
	return nil, errNotAsked
}

func (checkout) GetOciFiles(context.Context, string, string, string, string, bool) (map[string][]byte, error) {
	return nil, errNotAsked
}

func (checkout) GetOciDirectories(context.Context, string, string, string, bool) ([]string, error) {
	return nil, errNotAsked
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
