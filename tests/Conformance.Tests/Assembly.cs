using Conformance.Tests;
using Conformance.Tests.Archives;
using Xunit.Sdk;
using Xunit.v3;

// A guest takes a core for seconds; two at a time would only make each slower.
[assembly: Parallelization(Mode = ParallelMode.None)]
[assembly: AssemblyFixture(typeof(DebianRuns))]
[assembly: AssemblyFixture(typeof(DebianStore))]
