// One of these modules is built per CPU level; CONVERGENT_MODULE is its name.
#include <pybind11/pybind11.h>

#include <string>

namespace py = pybind11;

namespace convergent::border {

void bind_assignment(py::module_& m);
void bind_cross_products(py::module_& m);
void bind_minimal_match(py::module_& m);
void bind_mutual_information(py::module_& m);
void bind_scaled_cholesky(py::module_& m);
void bind_probabilistic_response(py::module_& m);
void bind_shared_response(py::module_& m);
void bind_sparse_map(py::module_& m);
void bind_subspace(py::module_& m);
void bind_triangular_factor(py::module_& m);

}  // namespace convergent::border

namespace {

std::string compiler() {
#if defined(__clang__)
    return std::string("clang ") + __clang_version__;
#elif defined(__GNUC__)
    return std::string("gcc ") + __VERSION__;
#else
    return "unknown";
#endif
}

}  // namespace

PYBIND11_MODULE(CONVERGENT_MODULE, m, py::mod_gil_not_used()) {
    m.doc() = "Compiled kernels of convergent for one CPU level.";
    m.def("compiler", &compiler, "The compiler that built this module.");
    convergent::border::bind_assignment(m);
    convergent::border::bind_cross_products(m);
    convergent::border::bind_minimal_match(m);
    convergent::border::bind_mutual_information(m);
    convergent::border::bind_scaled_cholesky(m);
    convergent::border::bind_probabilistic_response(m);
    convergent::border::bind_shared_response(m);
    convergent::border::bind_sparse_map(m);
    convergent::border::bind_subspace(m);
    convergent::border::bind_triangular_factor(m);
}
