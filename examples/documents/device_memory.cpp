/* Memory of a GPU, in the form of Numba's manual: transfers, pinned, mapped and managed arrays, streams, and a mirror. Needs a GPU. */
#include <cassert>
#include <cstdio>
#include <numeric>
#include <tenure.hpp>

using tenure::array, tenure::device, tenure::mode, tenure::options, tenure::side;

template <class View>
static double sum(const View &view) {
    return std::accumulate(view.begin(), view.end(), 0.0);
}

int main() {
    const device gpu = device::cuda();
    std::vector<double> ary(10, 3.0);
    array d_ary = tenure::copy_of(ary).to_device(gpu);
    array other = tenure::empty<double>({10}, options().on(gpu));
    d_ary.copy_into(other); // within the GPU
    std::printf("transfers %g\n", sum(other.slice({{2, 4}}).to_vector<double>()));

    const tenure::stream stream(gpu);
    array pinned = tenure::full<double>({10}, 1.0, options().on(device::pinned()));
    pinned.copy_into(d_ary, mode::aliased, stream);
    for (double &element : pinned.write<double>(mode::discard | mode::wait)) // waits for the transfer that reads it
        element = 2;
    array registered = tenure::host_register<double>({ary.data(), ary.size()}, TN_HOST_MAPPED); // pinned and mapped
    d_ary.copy_into(registered, mode::aliased, stream);
    const array result = d_ary.to_device({}, stream); // a guard that waits is its first use
    const double arrived = sum(registered.read<double>(tenure::reading::wait));
    std::printf("streams %g %g %g\n", arrived, sum(result.read<double>(tenure::reading::wait)), sum(pinned.to_vector<double>()));

    array managed = tenure::empty<double>({10}, options().on(device::managed()));
    d_ary.copy_into(managed, mode::aliased, stream);
    std::printf("managed %g\n", sum(managed.read<double>(tenure::reading::wait)));

    tenure::mirror smart(tenure::full<double>({10}, 1.0));
    smart.get(side::device).fill(3.0); // the mirror sees this write by itself
    const double seen = sum(smart.read<double>(side::host));
    const auto there = smart.info().transfers_to_device, back = smart.info().transfers_to_host;
    std::printf("mirror %g, %d there, %d back\n", seen, static_cast<int>(there), static_cast<int>(back));
    assert(arrived == 10 && ary[9] == 1 && seen == 30 && there == 1 && back == 1);
}
/* It prints:
transfers 6
streams 10 10 20
managed 10
mirror 30, 1 there, 1 back
*/
